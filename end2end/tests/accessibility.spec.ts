import { type Page, accessible, addBranch, addMembers, awake, expect, fits, givePicture, post, sleeping, test, walk } from "./office";

const OUTSIDE = {
  "/": "Welcome",
  "/signup": "Your church",
  "/signup/you?church=Grace&country=KE&timezone=Africa%2FNairobi": "You",
  "/signup/you?church=&country=&timezone=": "Your church",
  "/signin": "Sign in",
};

const heading = (page: Page) => page.getByRole("heading", { level: 1 });

/** An office with something in it; its pages, and what their titles begin with. */
async function furnish(page: Page): Promise<Record<string, string>> {
  const westlands = await addBranch(page, "Westlands", { city: "Nairobi", phone: "020 1234567", email: "westlands@example.org" });
  const karen = await addBranch(page, "Karen");
  const [naomi, kevin] = await addMembers(page, [
    { first_name: "Naomi", last_name: "Achieng", email: "naomi@example.org", mobile: "0712345678", notes: "Sings alto.", birth_month: "2", new_tags: "Choir, Ushers, Youth, Needs a lift" },
    { first_name: "Kevin", last_name: "Barasa", status: "Visitor", branch: "Westlands" },
    ...Array.from({ length: 25 }, (_, n) => ({ first_name: "Person", last_name: `No ${n}`, status: "Regular attender" })),
  ]);
  await givePicture(page, `${naomi}/photo`);
  await givePicture(page, `${westlands}/picture`);
  await post(page, `${karen}/archive`, {});
  await post(page, `${kevin}/archive`, {});
  await page.goto("/settings/tags");
  const tag = (await page.getByRole("link", { name: "Rename Choir" }).getAttribute("href"))!.replace(/edit$/, "");
  return {
    "/": "Home",
    "/members": "Members",
    "/members?show=archived": "Members",
    "/members?search=nobody": "Members",
    "/members?tag=choir": "Members",
    "/members/new": "Add a member",
    [naomi]: "Naomi Achieng",
    [`${naomi}/edit`]: "Edit the member",
    [`${naomi}/archive`]: "Archive Naomi Achieng",
    [`${naomi}/photo`]: "Photo of Naomi Achieng",
    [kevin]: "Kevin Barasa",
    "/branches": "Branches",
    "/branches?show=archived": "Branches",
    "/branches/new": "Add a branch",
    [westlands]: "Westlands",
    [`${westlands}/edit`]: "Edit the branch",
    [`${westlands}/archive`]: "Archive Westlands",
    [`${westlands}/picture`]: "Picture of Westlands",
    [karen]: "Karen",
    "/settings/tokens": "Access tokens",
    "/settings/tokens/new": "Make a token",
    "/settings/tags": "Tags",
    [`${tag}edit`]: "Rename the tag",
    [`${tag}remove`]: "Remove Choir",
  };
}

async function isSound(page: Page, path: string, title: string) {
  await page.goto(path);
  await awake(page);
  await expect(page).toHaveTitle(new RegExp(`^${title}.* · Vestry$`));
  await expect(heading(page)).toHaveCount(1);
  await accessible(page);
  await fits(page);
  // Of the dark, only the colours are new.
  await page.emulateMedia({ colorScheme: "dark" });
  await accessible(page, "color-contrast");
  await page.emulateMedia({ colorScheme: "light" });
}

test("every page outside", async ({ page }) => {
  for (const [path, title] of Object.entries(OUTSIDE)) await isSound(page, path, title);
});

test("every page inside", async ({ page, office }) => {
  test.slow();
  for (const [path, title] of Object.entries(await furnish(page))) await isSound(page, path, title);
});

test("pages that only come up", async ({ page, office }) => {
  await page.goto("/members/new");
  await awake(page);
  await page.getByLabel("Email").fill("naomi");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.locator(".summary")).toBeFocused();
  await accessible(page);
  await page.emulateMedia({ colorScheme: "dark" });
  await accessible(page, "color-contrast");

  const [naomi] = await addMembers(page, [{ first_name: "Naomi", last_name: "Achieng" }]);
  await page.goto(naomi);
  await awake(page);
  await page.getByRole("link", { name: "Archive" }).click();
  await expect(page.getByRole("dialog")).toBeVisible();
  await accessible(page);
  await page.keyboard.press("Escape");
  await page.locator(".who summary").click();
  await expect(page.getByRole("button", { name: "Sign out" })).toBeVisible();
  await accessible(page);
  await page.emulateMedia({ colorScheme: "light" });
  await accessible(page, "color-contrast");
});

test.describe("a page that is not there", () => {
  test.use({ expected: /status of 404/ });

  test("says so, and leads home", async ({ page, office }) => {
    await page.goto("/members/0193b3a0-0000-7000-8000-000000000000");
    await expect(heading(page)).toHaveText("This page is not here");
    await accessible(page);
    await fits(page);
    await page.getByRole("link", { name: "Go to the first page" }).click();
    await expect(heading(page)).toHaveText(/, Ruth$/);
  });
});

test("the first stop of the keyboard leads to the content", { tag: "@desktop" }, async ({ page, office }) => {
  for (const path of ["/members", "/signup"]) {
    await page.goto(path);
    await page.keyboard.press("Tab");
    const skip = page.getByRole("link", { name: "Skip to content" });
    await expect(skip).toBeFocused();
    await expect(skip).toBeInViewport({ ratio: 1 });
    await page.keyboard.press("Enter");
    await expect(page.locator("main")).toBeFocused();
    await page.keyboard.press("Tab");
    expect(await page.evaluate(() => document.activeElement!.closest("main") !== null)).toBe(true);
  }
});

test("every stop of the keyboard can be seen", { tag: "@desktop" }, async ({ page, office }) => {
  const [naomi] = await addMembers(page, [{ first_name: "Naomi", last_name: "Achieng", mobile: "0712345678" }]);
  for (const path of ["/", "/members", naomi, "/branches", "/branches/new", "/signup"]) {
    await page.goto(path);
    await awake(page);
    expect((await walk(page)).length, path).toBeGreaterThan(4);
  }
});

test.describe("at 320 pixels, which is 400 % of zoom", { tag: "@phone" }, () => {
  test.use({ viewport: { width: 320, height: 640 } });

  test("nothing has to be scrolled to the side", async ({ page, browser, office }) => {
    for (const path of Object.keys(await furnish(page))) {
      await page.goto(path);
      await fits(page);
    }
    const outside = await (await browser.newContext({ viewport: { width: 320, height: 640 } })).newPage();
    for (const path of Object.keys(OUTSIDE)) {
      await outside.goto(path);
      await fits(outside);
    }
    await outside.context().close();
  });
});

test("no title is given twice", { tag: "@desktop" }, async ({ page, browser, office }) => {
  const paths = Object.keys(await furnish(page)).filter((path) => !path.includes("?"));
  const outside = await (await browser.newContext()).newPage();
  const titles: string[] = [];
  for (const path of paths) {
    await page.goto(path);
    titles.push(await page.title());
  }
  for (const path of ["/", "/signup", "/signin"]) {
    await outside.goto(path);
    titles.push(await outside.title());
  }
  await outside.context().close();
  expect(titles.filter((title, n) => titles.indexOf(title) !== n)).toEqual([]);
});

/** Each element with its own words and its place. */
function places(page: Page) {
  return page.evaluate(() =>
    [...document.body.querySelectorAll<HTMLElement>("*")]
      .filter((element) => element.offsetParent)
      .map((element) => {
        const words = [...element.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE).map((node) => node.textContent);
        const { x, y, width, height } = element.getBoundingClientRect();
        return [element.tagName, element.id, words.join(""), x, y, width, height].join(" ");
      }),
  );
}

test("coming alive, a page does not move", async ({ page, office }) => {
  const [naomi] = await addMembers(page, [{ first_name: "Naomi", last_name: "Achieng" }]);
  for (const path of ["/", "/members", "/members/new", naomi, "/branches/new", "/signup/you?church=Grace&country=KE&timezone=Africa%2FNairobi"]) {
    const islands = await sleeping(page);
    await page.goto(path);
    await page.evaluate(() => document.fonts.ready);
    const before = await places(page);
    await islands.wake();
    expect(await places(page), path).toEqual(before);
  }
});
