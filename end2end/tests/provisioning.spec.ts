import { type Page, accessible, test as base, awake, expect, fits, listen, signUp, somebody } from "./office";
import { type At, PLACES, brake, fitBrakes, reachable, release } from "./registry";

const STEPS = ["Found a place", "Made your own database", "Brought it up to date", "Set up the office", "Opened the doors"];

const done = (page: Page) => page.locator(".run li.done");
const running = (page: Page) => page.locator(".run li.now");
const status = (page: Page) => page.locator("main").getByRole("status").first();
const enter = (page: Page) => page.getByRole("button", { name: "Go to your office" });

async function isOpen(page: Page, church: string) {
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(`${church} is open`);
  await expect(done(page).locator(".what")).toHaveText(STEPS.map((step) => `${step}: done`));
}

const test = base.extend<{ held: (...at: At[]) => Promise<string> }>({
  /** Signs a church up whose run stops where the test wants to look; its name. */
  held: async ({ page }, use) => {
    const owner = somebody({ church: `St ${crypto.randomUUID()}` });
    await use(async (...at) => {
      await brake(owner.church, ...at);
      await signUp(page, owner);
      return owner.church;
    });
    // A run that a failed test left on the brake would keep a worker from everybody else's.
    await release(owner.church, ...PLACES);
  },
});

test("a church is opened, and its founder goes in without signing in", async ({ page }) => {
  const owner = somebody();
  await signUp(page, owner);
  await isOpen(page, owner.church);
  for (const time of await page.locator(".run .time").all()) await expect(time).toHaveText(/^(under 1 ms|\d+ ms|\d+\.\d s)$/);
  await expect(status(page)).toHaveText(/^The office of Grace Chapel is open\. It took .*\d.*\.$/);

  const address = page.url();
  await page.reload();
  await isOpen(page, owner.church);
  await enter(page).click();
  await expect(page).toHaveURL("/");
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(/, Ruth$/);
  await expect(page.getByRole("link", { name: "Grace Chapel" })).toBeVisible();

  await page.goto(address);
  await isOpen(page, owner.church);
  await enter(page).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(/, Ruth$/);
});

test("another tab may enter, another browser has to sign in", async ({ page, context, browser }) => {
  const owner = somebody();
  await signUp(page, owner);
  await isOpen(page, owner.church);

  const stranger = await browser.newContext();
  const complaints = await listen(stranger);
  const theirs = await stranger.newPage();
  await theirs.goto(page.url());
  await isOpen(theirs, owner.church);
  await expect(enter(theirs)).toHaveCount(0);
  await theirs.getByRole("link", { name: "Sign in" }).click();
  await expect(theirs).toHaveURL("/signin");
  expect(complaints).toEqual([]);
  await stranger.close();

  const tab = await context.newPage();
  await tab.goto(page.url());
  await isOpen(tab, owner.church);
  await enter(tab).click();
  await expect(tab.getByRole("heading", { level: 1 })).toHaveText(/, Ruth$/);
});

test("an address that never was is not found", async ({ page }) => {
  const answer = await page.request.get("/opening/0193b3a0-0000-7000-8000-000000000000");
  expect(answer.status()).toBe(404);
});

test.describe("a run that is stopped on its way", () => {
  test.skip(!reachable, "needs a server that these tests have started");
  test.beforeAll(fitBrakes);

  test("is shown step by step, in every window, without a reload", async ({ page, context, browser, held }) => {
    const church = await held("queue", "database", "office");
    const stranger = await browser.newContext();
    const complaints = await listen(stranger);
    const windows = [page, await context.newPage(), await stranger.newPage()];
    for (const window of windows) {
      await window.goto(page.url());
      await expect(window.getByRole("heading", { level: 1 })).toHaveText(`Opening ${church}`);
      await expect(status(window)).toHaveText(/^Waiting for a free hand\./);
      await expect(window.locator(".run li.todo")).toHaveCount(5);
      await awake(window);
      await window.evaluate(() => Object.assign(window, { notReloaded: true }));
    }
    await accessible(page);

    await release(church, "queue");
    for (const window of windows) {
      await expect(status(window)).toHaveText(/^Step 2 of 5: making your own database\./);
      await expect(done(window)).toHaveText(/^Found a place: done/);
      await expect(running(window).locator(".what")).toHaveText("Making your own database: running");
      await expect(window.locator(".run li.todo")).toHaveCount(3);
      await expect(enter(window)).toHaveCount(0);
    }
    await accessible(page);
    await fits(page);

    await release(church, "database");
    for (const window of windows) {
      await expect(done(window)).toHaveCount(3);
      await expect(running(window).locator(".what")).toHaveText("Setting up the office: running");
    }

    await release(church, "office");
    for (const window of windows) {
      await isOpen(window, church);
      await expect(status(window)).toHaveText(new RegExp(`^The office of ${church} is open\\.`));
      await expect(window).toHaveTitle(`${church} is open · Vestry`);
      expect(await window.evaluate(() => "notReloaded" in window)).toBe(true);
    }
    await expect(enter(page)).toBeVisible();
    await expect(windows[2].getByRole("link", { name: "Sign in" })).toBeVisible();
    expect(complaints).toEqual([]);
    await stranger.close();
  });

  test("is where it was after a reload", async ({ page, held }) => {
    const church = await held("schema");
    await expect(running(page).locator(".what")).toHaveText("Bringing it up to date: running");
    await page.reload();
    await expect(done(page)).toHaveCount(2);
    await expect(running(page).locator(".what")).toHaveText("Bringing it up to date: running");
    await release(church, "schema");
    await isOpen(page, church);
  });

  test.describe("when the line is cut", () => {
    test.use({ expected: /ERR_CONNECTION_REFUSED|status of 503/ });

    for (const [what, cut] of [["refused", null], ["answered by 503", 503]] as const) {
      test(`goes on after the events were ${what}`, async ({ page, held }) => {
        await page.route("**/events", (route) => (cut ? route.fulfill({ status: cut }) : route.abort("connectionrefused")), { times: 1 });
        const church = await held("queue");
        await awake(page);
        await release(church, "queue");
        await isOpen(page, church);
      });
    }
  });

  test("says why it failed, and is tried again", async ({ page, held }) => {
    const church = await held("failure");
    await expect(page.getByRole("heading", { level: 1 })).toHaveText(`${church} is not open yet`);
    await expect(status(page)).toHaveText("It did not work yet. Nothing you typed is lost.");
    await expect(page.locator(".run li.failed")).toHaveText(/Setting up the office: failed.*sealed with another secret key/);
    await expect(page.locator(".reference")).toHaveText(/^\w{3}-\w{3}$/);
    await accessible(page);
    await fits(page);
    await page.reload();
    await expect(page.locator(".run .failed .why")).toBeVisible();

    await release(church, "failure");
    await page.getByRole("button", { name: "Try again" }).click();
    await isOpen(page, church);
    await enter(page).click();
    await expect(page.getByRole("heading", { level: 1 })).toHaveText(/, Ruth$/);
  });

  test("without a script, the page asks again by itself to the end", { tag: "@without-script" }, async ({ page, held }) => {
    const church = await held("queue", "schema");
    await expect(status(page)).toHaveText(/^Waiting for a free hand\./);
    await release(church, "queue");
    await expect(done(page)).toHaveCount(2);
    await release(church, "schema");
    await isOpen(page, church);
    // It stands still now: whoever reads it is not interrupted.
    await expect(page.locator("meta[http-equiv=refresh]")).toHaveCount(0);
    await enter(page).click();
    await expect(page.getByRole("heading", { level: 1 })).toHaveText(/, Ruth$/);
  });
});
