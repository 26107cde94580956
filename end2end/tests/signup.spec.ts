import { type Page, PASSWORD, accessible, awake, expect, fits, navigations, promise, sleeping, somebody, tabTo, test } from "./office";

const YOU = "/signup/you?church=Grace+Chapel&country=KE&timezone=Africa%2FNairobi";

const summary = (page: Page) => page.locator(".summary");
const password = (page: Page) => page.getByLabel("Password", { exact: true });

test("the whole way needs no mouse", { tag: "@desktop" }, async ({ page }) => {
  const owner = somebody();
  await page.goto("/signup");
  await awake(page);
  await tabTo(page, page.getByLabel("Name of the church"));
  await page.keyboard.type(owner.church);
  await tabTo(page, page.getByLabel("Country"));
  await page.keyboard.type("Keny");
  await tabTo(page, page.getByLabel("Time zone"));
  await page.keyboard.type("Nairobi");
  await page.keyboard.press("Enter");
  await tabTo(page, page.getByRole("button", { name: "Continue" }));
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(YOU);

  for (const [label, typed] of [["First name", owner.firstName], ["Last name", owner.lastName], ["Email", owner.email]]) {
    await tabTo(page, page.getByLabel(label));
    await page.keyboard.type(typed);
  }
  await tabTo(page, password(page));
  await page.keyboard.type(PASSWORD);
  await page.keyboard.press("Enter");
  await tabTo(page, page.getByRole("button", { name: "Go to your office" }));
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(/, Ruth$/);
});

test.describe("a browser in Oslo that speaks American", () => {
  test.use({ timezoneId: "Europe/Oslo", locale: "en-US" });

  test("is taken to be in Norway", async ({ page }) => {
    await page.goto("/signup");
    await expect(page.getByLabel("Country")).toHaveValue("NO");
    await expect(page.getByLabel("Time zone")).toHaveValue("Europe/Oslo");
  });

  test("does not overrule what somebody chose while it was loading", async ({ page }) => {
    const islands = await sleeping(page);
    await page.goto("/signup");
    await expect(page.getByLabel("Country")).toHaveValue("US");
    await page.getByLabel("Country").selectOption("KE");
    await page.getByLabel("Time zone").selectOption("Africa/Nairobi");
    await islands.wake();
    await expect(page.getByLabel("Country")).toHaveValue("KE");
    await expect(page.getByLabel("Time zone")).toHaveValue("Africa/Nairobi");
  });

  test("does not overrule what somebody chose before", async ({ page }) => {
    await page.goto(YOU);
    await page.getByRole("link", { name: "Back" }).click();
    await awake(page);
    await expect(page.getByLabel("Country")).toHaveValue("KE");
    await expect(page.getByLabel("Time zone")).toHaveValue("Africa/Nairobi");
  });
});

test.describe("a browser that still says Calcutta", () => {
  test.use({ timezoneId: "Asia/Calcutta" });

  test("is understood", async ({ page }) => {
    await page.goto("/signup");
    await expect(page.getByLabel("Country")).toHaveValue("IN");
    await expect(page.getByLabel("Time zone")).toHaveValue("Asia/Kolkata");
  });
});

test("what is wrong is said before anything is sent", async ({ page }) => {
  await page.goto("/signup");
  await awake(page);
  const sent = navigations(page);
  await page.getByLabel("Country").selectOption("");
  await page.getByRole("button", { name: "Continue" }).click();
  await expect(summary(page)).toBeFocused();
  await expect(summary(page)).toContainText("2 things need another look");
  await accessible(page);

  const name = page.getByLabel("Name of the church");
  await expect(name).toHaveAttribute("aria-invalid", "true");
  await expect(name).toHaveAccessibleDescription("Enter the name of your church.");
  await summary(page).getByRole("link", { name: "Enter the name of your church." }).click();
  await expect(name).toBeFocused();
  await summary(page).getByRole("link", { name: "Choose your country." }).press("Enter");
  await expect(page.getByLabel("Country")).toBeFocused();

  await page.keyboard.press("Shift+Tab");
  await page.keyboard.type("Grace Chapel");
  await expect(name).not.toHaveAttribute("aria-invalid");
  await expect(name).toHaveAccessibleDescription("");
  await expect(page.getByText("Choose your country.").last(), "the other one is still wrong").toBeVisible();
  await page.getByLabel("Country").selectOption("KE");
  await expect(page.locator(".field.wrong")).toHaveCount(0);
  expect(sent).toEqual([]);

  await page.getByRole("button", { name: "Continue" }).click();
  await expect(page).toHaveURL(/\/signup\/you\?church=Grace\+Chapel&country=KE&timezone=./);
});

const WRONG = { "First name": " ", "Last name": "", Email: "ruth@example", Password: "short" };
const WHY = [
  "Enter your name.",
  "This is not an email address. It looks like name@example.org.",
  "Use at least 10 characters; this has 5. A few words are easy to remember.",
];

async function sendWrong(page: Page) {
  for (const [label, typed] of Object.entries(WRONG)) await page.getByLabel(label, { exact: true }).fill(typed);
  await page.getByRole("button", { name: "Open the office" }).click();
}

async function isRefused(page: Page) {
  await expect(summary(page)).toBeFocused();
  await expect(summary(page).getByRole("heading")).toHaveText("3 things need another look");
  await expect(summary(page).getByRole("link")).toHaveText(WHY);
  await expect(page.locator(".field .why:visible")).toHaveText(WHY);
  await expect(page.getByLabel("Email")).toHaveValue("ruth@example");
}

test("the second step is checked by the same rules in the browser", async ({ page }) => {
  await page.goto(YOU);
  await awake(page);
  const sent = navigations(page);
  await sendWrong(page);
  await isRefused(page);
  await expect(password(page), "nothing was sent, nothing is lost").toHaveValue("short");
  expect(sent).toEqual([]);
  await accessible(page);
  await fits(page);
});

test("and on the server", { tag: "@without-script" }, async ({ page }) => {
  await page.goto(YOU);
  await sendWrong(page);
  await isRefused(page);
  await expect(page).toHaveURL(YOU);
  await expect(password(page), "a password is never sent back").toHaveValue("");
  await summary(page).getByRole("link", { name: WHY[1] }).click();
  await expect(page.getByLabel("Email")).toBeFocused();
});

test("the first step too", { tag: "@without-script" }, async ({ page }) => {
  await page.goto("/signup");
  await page.getByLabel("Country").selectOption("NO");
  await page.getByRole("button", { name: "Continue" }).click();
  await expect(summary(page)).toBeFocused();
  await expect(summary(page).getByRole("link")).toHaveText(["Enter the name of your church."]);
  await expect(page.getByLabel("Country")).toHaveValue("NO");
  await page.getByLabel("Name of the church").fill("Grace Chapel");
  await page.getByRole("button", { name: "Continue" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("And who are you?");
});

test("a password is judged while it is typed, and can be looked at", async ({ page }) => {
  await page.goto(YOU);
  const hint = page.locator(".strength").getByRole("status");
  await expect(hint).toHaveText("At least 10 characters. A few words are easy to remember.");
  const judged = [
    ["password123", "Weak: easy to guess.", "1"],
    ["river candle", "Fair. Another word would make it good.", "2"],
    ["river candle man", "Good.", "3"],
    ["river candle mango boat", "Strong.", "4"],
    ["", "At least 10 characters. A few words are easy to remember.", "0"],
  ];
  await awake(page);
  for (const [typed, words, level] of judged) {
    await password(page).fill(typed);
    await expect(hint).toHaveText(words);
    await expect(page.locator(".strength")).toHaveAttribute("data-level", level);
  }
  await password(page).fill(PASSWORD);
  const show = page.getByRole("button", { name: "Show the password" });
  await expect(show).toHaveAttribute("aria-pressed", "false");
  await show.click();
  await expect(password(page)).toHaveAttribute("type", "text");
  await expect(show).toHaveAttribute("aria-pressed", "true");
  await show.click();
  await expect(password(page)).toHaveAttribute("type", "password");
  await expect(password(page)).toHaveValue(PASSWORD);
});

test("without a script there is the advice, and no button that does nothing", { tag: "@without-script" }, async ({ page }) => {
  await page.goto(YOU);
  await expect(page.locator(".strength")).toHaveText("At least 10 characters. A few words are easy to remember.");
  await expect(page.getByRole("button")).toHaveText(["Open the office"]);
});

for (const [way, goBack] of [
  ["the link", (page: Page) => page.getByRole("link", { name: "Back" }).click()],
  ["the step", (page: Page) => page.getByRole("link", { name: "Your church" }).click()],
  ["the browser", (page: Page) => page.goBack()],
] as const) {
  test(`going back by ${way} keeps what was typed`, async ({ page }) => {
    await page.goto("/signup");
    await awake(page);
    await page.getByLabel("Name of the church").fill("Grace & Hope “Chapel”");
    await page.getByLabel("Country").selectOption("NZ");
    await page.getByLabel("Time zone").selectOption("Pacific/Chatham");
    await page.getByRole("button", { name: "Continue" }).click();
    await expect(page.getByText("the office of Grace & Hope “Chapel”")).toBeVisible();
    await goBack(page);
    await expect(page.getByRole("heading", { level: 1 })).toHaveText("Open an office for your church");
    await awake(page);
    await expect(page.getByLabel("Name of the church")).toHaveValue("Grace & Hope “Chapel”");
    await expect(page.getByLabel("Country")).toHaveValue("NZ");
    await expect(page.getByLabel("Time zone")).toHaveValue("Pacific/Chatham");
  });
}

test("password managers know every field, and may paste", async ({ page }) => {
  await page.goto("/signup");
  await expect(page.getByLabel("Name of the church")).toHaveAttribute("autocomplete", "organization");
  await expect(page.getByLabel("Country")).toHaveAttribute("autocomplete", "country");
  await page.goto(YOU);
  await awake(page);
  for (const [label, autocomplete] of [["First name", "given-name"], ["Last name", "family-name"], ["Email", "username"], ["Password", "new-password"]])
    await expect(page.getByLabel(label, { exact: true })).toHaveAttribute("autocomplete", autocomplete);
  const allowed = await password(page).evaluate((input) => input.dispatchEvent(new ClipboardEvent("paste", { bubbles: true, cancelable: true })));
  expect(allowed).toBe(true);
});

test("pressed twice, it is sent once", async ({ page }) => {
  await page.goto(YOU);
  await awake(page);
  for (const [label, typed] of Object.entries({ ...WRONG, "First name": "Ruth", "Last name": "Okafor", Email: somebody().email, Password: PASSWORD }))
    await page.getByLabel(label, { exact: true }).fill(typed);
  // While an answer is awaited, Playwright keeps its hands off the page: the page presses by itself, and asks when.
  const sent: string[] = [];
  const [arrived, pressedAgain] = [promise<void>(), promise<string>()];
  await page.route("**/signup/you*", async (route) => {
    sent.push(route.request().method());
    arrived.resolve();
    await pressedAgain;
    await route.continue();
  });
  await page.route("**/favicon.svg?arrived", async (route) => {
    await arrived;
    await route.fulfill();
  });
  await page.route("**/favicon.svg?again*", async (route) => {
    pressedAgain.resolve(new URL(route.request().url()).search);
    await route.fulfill();
  });
  await page.evaluate(() => {
    const button = document.querySelector<HTMLButtonElement>("form .primary")!;
    button.click();
    void fetch("/favicon.svg?arrived").then(() => {
      button.click();
      return fetch(`/favicon.svg?again&busy=${button.ariaBusy}`);
    });
  });
  expect(await pressedAgain).toBe("?again&busy=true");
  await page.waitForURL("**/opening/*");
  expect(sent).toEqual(["POST"]);
});
