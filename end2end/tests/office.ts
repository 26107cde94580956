// What the tests stand on: a browser that must not complain, and the office of a church made for one test.
import AxeBuilder from "@axe-core/playwright";
import { type BrowserContext, type Locator, type Page, test as base, expect } from "@playwright/test";

export { expect };
export type { Locator, Page };

export const PASSWORD = "river candle mango";

export interface Person {
  church: string;
  firstName: string;
  lastName: string;
  email: string;
}

/** Somebody nobody has heard of: tests share a server, and must not meet. */
export function somebody(given: Partial<Person> = {}): Person {
  const email = `ruth.${crypto.randomUUID()}@example.org`;
  return { church: "Grace Chapel", firstName: "Ruth", lastName: "Okafor", email, ...given };
}

const byte = () => Math.floor(Math.random() * 256);

interface Fixtures {
  /** The owner of an office that was opened for this test; `page` is inside it. */
  office: Person;
  /** Errors the test brings about itself, by what the console says of them. */
  expected: RegExp;
}

export const test = base.extend<Fixtures>({
  // Rate limits count by address, so that every test comes from one of its own.
  extraHTTPHeaders: async ({}, use) => use({ "x-forwarded-for": `10.${byte()}.${byte()}.${byte()}` }),

  expected: [/^$/, { option: true }],

  context: async ({ context, expected }, use) => {
    const complaints = await listen(context);
    await use(context);
    expect(complaints.filter((said) => !expected.test(said))).toEqual([]);
  },

  office: async ({ page }, use) => {
    const owner = somebody();
    await openOffice(page, owner);
    await use(owner);
  },
});

/** Everything a browser complains of: errors, refusals of the content security policy, broken islands. */
export async function listen(context: BrowserContext): Promise<string[]> {
  const complaints: string[] = [];
  context.on("weberror", (error) => complaints.push(String(error.error().stack)));
  context.on("console", (message) => {
    // A form with something wrong is answered by 422, which Chromium calls an error.
    const refused = message.text().includes("the server responded with a status of 422");
    if (["error", "warning"].includes(message.type()) && !refused)
      complaints.push(`${message.type()}: ${message.text()} (${message.location().url})`);
  });
  // The islands come alive in the microtasks after their WebAssembly is there: see `awake`.
  await context.addInitScript(() => {
    const start = WebAssembly.instantiateStreaming;
    WebAssembly.instantiateStreaming = async (...given: Parameters<typeof start>) => {
      const started = await start.apply(WebAssembly, given);
      setTimeout(() => Object.assign(window, { awake: true }));
      return started;
    };
  });
  return complaints;
}

/** Waits until the islands of the page are alive. */
export async function awake(page: Page) {
  await page.waitForFunction(() => "awake" in window);
}

/** Notes each form and page that is asked for from now on; what a script fetches is not among them. */
export function navigations(page: Page): string[] {
  const seen: string[] = [];
  page.on("request", (request) => {
    if (request.isNavigationRequest()) seen.push(`${request.method()} ${new URL(request.url()).pathname}`);
  });
  return seen;
}

/** Gets to a control as somebody without a mouse does. */
export async function tabTo(page: Page, control: Locator) {
  for (let presses = 0; presses < 40; presses++) {
    await page.keyboard.press("Tab");
    if (await control.evaluate((element) => element === document.activeElement)) return;
  }
  throw new Error(`no way to ${control} by keyboard`);
}

/** A promise that somebody else keeps. */
export function promise<T>(): Promise<T> & { resolve: (value: T) => void } {
  let resolve = (_: T) => {};
  return Object.assign(new Promise<T>((kept) => (resolve = kept)), { resolve: (value: T) => resolve(value) });
}

/** Keeps the WebAssembly of the next page back: until `wake`, it is one whose islands are not alive yet. */
export async function sleeping(page: Page): Promise<{ wake: () => Promise<void> }> {
  const woken = promise<void>();
  await page.route("**/*.wasm", async (route) => {
    await woken;
    await route.continue();
  });
  return {
    wake: async () => {
      woken.resolve();
      await awake(page);
    },
  };
}

/** Both steps of the signup, up to the address of its progress. */
export async function signUp(page: Page, owner: Person) {
  await page.goto("/signup");
  await page.getByLabel("Name of the church").fill(owner.church);
  await page.getByLabel("Country").selectOption("KE");
  await page.getByLabel("Time zone").selectOption("Africa/Nairobi");
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByLabel("First name").fill(owner.firstName);
  await page.getByLabel("Last name").fill(owner.lastName);
  await page.getByLabel("Email").fill(owner.email);
  await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await page.getByRole("button", { name: "Open the office" }).click();
  await page.waitForURL("**/opening/*");
}

export async function openOffice(page: Page, owner: Person) {
  await signUp(page, owner);
  await page.getByRole("button", { name: "Go to your office" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(new RegExp(`^Good .*, ${owner.firstName}$`));
}

export async function signIn(page: Page, email: string, password = PASSWORD) {
  await page.getByLabel("Email").fill(email);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
}

/** Sends a form as its page would; for what a test needs to be there, and does not look at. */
export async function post(page: Page, path: string, form: Record<string, string>): Promise<string> {
  const answer = await page.request.post(path, { form, maxRedirects: 0 });
  expect(answer.status(), `${path}: ${await answer.text()}`).toBe(303);
  // Nobody has looked yet: what was done is not said on the page that happens to be looked at next.
  await page.context().clearCookies({ name: "flash" });
  return answer.headers().location;
}

/** The choices of a select, by their words. */
export async function choices(page: Page, path: string, label: string): Promise<Record<string, string>> {
  const answer = await page.request.get(path);
  return page.evaluate(
    ([html, label]) => {
      const document = new DOMParser().parseFromString(html, "text/html");
      const named = [...document.querySelectorAll("label")].find((one) => one.textContent?.startsWith(label));
      const options = document.querySelectorAll<HTMLOptionElement>(`#${named?.htmlFor} option`);
      return Object.fromEntries([...options].map((option) => [option.text, option.value]));
    },
    [await answer.text(), label],
  );
}

export type MemberFields = { first_name: string; last_name: string } & Record<string, string>;

/** Adds members, each in the main branch and with the status "Member" unless it says otherwise. Their addresses. */
export async function addMembers(page: Page, members: MemberFields[]): Promise<string[]> {
  const branches = await choices(page, "/members/new", "Branch");
  const statuses = await choices(page, "/members/new", "Status");
  const added: string[] = [];
  for (const { branch = "Main church", status = "Member", ...fields } of members) {
    const form = { branch_id: branches[branch] ?? Object.values(branches)[0], status_id: statuses[status], ...fields };
    added.push(await post(page, "/members/new", form));
  }
  return added;
}

export async function addBranch(page: Page, name: string, fields: Record<string, string> = {}): Promise<string> {
  return post(page, "/branches/new", { name, timezone: "Africa/Nairobi", country: "KE", ...fields });
}

/** Asserts that axe finds nothing to object to, or nothing by one of its rules. */
export async function accessible(page: Page, rule?: string) {
  if (test.info().project.use.javaScriptEnabled === false) return; // axe is a script
  // What is on its way from one colour to another is let arrive.
  await page.waitForFunction(() => !document.getAnimations().some((one) => one instanceof CSSTransition));
  const axe = new AxeBuilder({ page });
  if (rule) axe.withRules(rule);
  else axe.withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]);
  const { violations } = await axe.analyze();
  const found = violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id} at ${node.target.join(" ")}: ${node.failureSummary}`));
  expect(found, `axe on ${page.url()}`).toEqual([]);
}

/** Asserts that nothing sticks out to the side: a phone shows a page that is too wide as a smaller one. */
export async function fits(page: Page) {
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  expect(width, `${page.url()} is as wide as the window`).toBeLessThanOrEqual(page.viewportSize()!.width);
}

/** Walks through the page by keyboard: what has focus is on top of everything else, and has a ring. What was walked over. */
export async function walk(page: Page): Promise<string[]> {
  const seen: string[] = [];
  for (;;) {
    await page.keyboard.press("Tab");
    const { what, covered, ring } = await page.evaluate(() => {
      const element = document.activeElement as HTMLElement;
      const { left, right, top, bottom } = element.getBoundingClientRect();
      const above = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
      const own = above && (element.contains(above) || above.contains(element));
      const what = `${element.tagName} ${element.id || element.textContent!.trim().slice(0, 30)} at ${Math.round(left)}, ${Math.round(top + scrollY)}`;
      // A row of a list on a phone wears the ring of its link.
      const ringed = [element, element.closest("tr")].map((one) => one && getComputedStyle(one));
      const ring = ringed.some((style) => style?.outlineStyle === "solid" && parseFloat(style.outlineWidth) >= 2);
      return { what: element === document.body ? "" : what, covered: !own, ring };
    });
    // A date has stops of its own for day, month and year.
    if (what && what === seen.at(-1)) continue;
    if (!what || seen.includes(what)) return seen;
    seen.push(what);
    expect({ covered, ring }, `${what} on ${page.url()}`).toEqual({ covered: false, ring: true });
  }
}
