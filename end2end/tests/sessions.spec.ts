import { type Page, PASSWORD, accessible, awake, expect, fits, listen, navigations, openOffice, signIn, signUp, somebody, tabTo, test } from "./office";

const account = (page: Page) => page.locator("summary", { hasText: "Ruth Okafor" });
const signOut = (page: Page) => page.getByRole("button", { name: "Sign out" });
const heading = (page: Page) => page.getByRole("heading", { level: 1 });

async function forget(page: Page) {
  await page.context().clearCookies({ name: "vestry" });
}

test("a wrong password, then the right one", { tag: "@either-way" }, async ({ page, office }) => {
  await forget(page);
  await page.goto("/signin");
  await signIn(page, office.email, "river candle melon");
  const summary = page.locator(".summary");
  await expect(summary).toBeFocused();
  await expect(summary.getByRole("link")).toHaveText("The email or the password is not right.");
  await expect(page.getByLabel("Email")).toHaveValue(office.email);
  await expect(page.getByLabel("Password")).toHaveValue("");
  await accessible(page);

  await signIn(page, office.email);
  await expect(page).toHaveURL("/");
  await expect(heading(page)).toHaveText(/, Ruth$/);
});

test("what is missing is said before anything is sent", async ({ page }) => {
  await page.goto("/signin");
  await awake(page);
  const sent = navigations(page);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.locator(".summary")).toBeFocused();
  await expect(page.locator(".summary").getByRole("link")).toHaveText(["Enter your email address.", "Enter your password."]);
  expect(sent).toEqual([]);
  await expect(page.getByLabel("Email")).toHaveAttribute("autocomplete", "username");
  await expect(page.getByLabel("Password")).toHaveAttribute("autocomplete", "current-password");
});

test("an email of several churches chooses", async ({ page, browser }) => {
  const owner = somebody();
  await openOffice(page, owner);
  const elsewhere = await browser.newContext();
  await signUp(await elsewhere.newPage(), { ...owner, church: "Hope Church" });
  await expect(elsewhere.pages()[0].getByRole("heading", { level: 1 })).toHaveText("Hope Church is open");
  await elsewhere.close();

  await forget(page);
  await page.goto("/branches");
  await signIn(page, owner.email);
  await expect(heading(page)).toHaveText("Which church?");
  const churches = page.locator(".choices").getByRole("button");
  await expect(churches).toHaveText([/Grace Chapel.*Owner$/, /Hope Church.*Owner$/]);
  await accessible(page);
  await fits(page);

  await tabTo(page, churches.nth(1));
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL("/branches");
  await expect(page.getByRole("link", { name: "Hope Church" })).toBeVisible();
});

test("the account menu by keyboard", { tag: "@desktop" }, async ({ page, office }) => {
  await awake(page);
  await tabTo(page, account(page));
  await expect(signOut(page)).toBeHidden();
  await page.keyboard.press("Enter");
  await expect(signOut(page)).toBeVisible();
  await expect(page.locator(".menu-panel").getByText(office.email)).toBeVisible();
  await tabTo(page, signOut(page));
  await page.keyboard.press("Escape");
  await expect(signOut(page)).toBeHidden();
  await expect(account(page)).toBeFocused();

  await page.keyboard.press("Space");
  await tabTo(page, signOut(page));
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL("/signin");
});

test("the account menu by pointer", async ({ page, office }) => {
  await awake(page);
  await account(page).click();
  await expect(signOut(page)).toBeInViewport({ ratio: 1 });
  await page.getByText(office.email).click();
  await expect(signOut(page), "a press inside leaves it open").toBeVisible();
  await page.getByRole("heading", { name: "Settle in" }).click();
  await expect(signOut(page)).toBeHidden();
});

test("signing out", { tag: "@either-way" }, async ({ page, office }) => {
  await page.goto("/members");
  await account(page).click();
  await signOut(page).click();
  await expect(page).toHaveURL("/signin");
  await expect(page.getByText("You are signed out.")).toBeVisible();
  await page.reload();
  await expect(page.getByText("You are signed out."), "said once").toBeHidden();
  // Whoever comes to this computer next finds nothing behind the button "Back".
  await page.goBack();
  await expect(heading(page)).toHaveText("Welcome back");
  await signIn(page, office.email);
  await expect(page).toHaveURL("/members");
});

test("an expired session comes back to where the person was", async ({ page, office }) => {
  await page.goto("/members");
  await forget(page);
  await page.getByRole("link", { name: "Branches" }).click();
  await expect(heading(page)).toHaveText("Welcome back");
  await signIn(page, office.email, "river candle melon");
  await expect(page.locator(".summary")).toBeVisible();
  await signIn(page, office.email);
  await expect(page).toHaveURL("/branches");

  await forget(page);
  await page.goto("/members?search=n%C3%A1omi&sort=-name");
  await signIn(page, office.email);
  await expect(page).toHaveURL("/members?search=n%C3%A1omi&sort=-name");
});

/** What the page looks like, told by the colour of its paper. */
function looks(page: Page) {
  return expect.poll(async () => {
    const paper = await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor.match(/\d+/g)!.map(Number));
    return paper.reduce((sum, part) => sum + part) < 384 ? "dark" : "light";
  });
}

test("colours are chosen, and stay", { tag: "@either-way" }, async ({ page, browser, office }) => {
  const choose = async (theme: string) => {
    await account(page).click();
    await page.getByRole("button", { name: theme }).click();
    await expect(page).toHaveURL("/members?search=nobody");
    await account(page).click();
    await expect(page.getByRole("button", { name: theme })).toHaveAttribute("aria-pressed", "true");
    await page.goto(page.url());
  };
  await page.goto("/members?search=nobody");
  await expect(page.locator("html")).not.toHaveAttribute("data-theme");
  await page.emulateMedia({ colorScheme: "dark" });
  await looks(page).toBe("dark");
  await page.emulateMedia({ colorScheme: "light" });
  await looks(page).toBe("light");

  await choose("Dark");
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
  await looks(page).toBe("dark");
  await page.goto("/");
  await looks(page).toBe("dark");
  await account(page).click();
  await signOut(page).click();
  await expect(heading(page)).toHaveText("Welcome back");
  await looks(page).toBe("dark"); // also outside
  const elsewhere = await browser.newContext();
  const theirs = await elsewhere.newPage();
  await theirs.goto("/signin");
  await looks(theirs).toBe("light"); // nobody else's
  await elsewhere.close();

  await signIn(page, office.email);
  await page.goto("/members?search=nobody");
  await page.emulateMedia({ colorScheme: "dark" });
  await choose("Light");
  await looks(page).toBe("light");
  await choose("System");
  await looks(page).toBe("dark");
});

test("a stranger learns nothing, and is led to the door", async ({ page }) => {
  for (const path of ["/members", "/members/new", "/branches", "/branches/new"]) {
    await page.goto(path);
    await expect(page).toHaveURL(`/signin?next=${encodeURIComponent(path)}`);
  }
  await page.goto("/");
  await expect(heading(page)).toHaveText("The office your church runs on");
  await page.getByRole("link", { name: "Sign in" }).click();
  await page.getByRole("link", { name: "Open an office for your church" }).click();
  await expect(page).toHaveURL("/signup");
});

test("too many attempts are told when to go on", async ({ page, browser }) => {
  const { email } = somebody();
  const answers = await Promise.all(Array.from({ length: 12 }, () => page.request.post("/signin", { form: { email, password: PASSWORD } })));
  expect(answers.map((answer) => answer.status())).toContain(429);
  const context = await browser.newContext();
  const complaints = await listen(context);
  const other = await context.newPage();
  await other.goto("/signin");
  await signIn(other, email);
  await expect(other.locator(".summary")).toBeFocused();
  await expect(other.locator(".summary").getByRole("link")).toHaveText(/^Too many attempts\. Please wait \d+ seconds and try again\.$/);
  await expect(other.getByLabel("Email")).toHaveValue(email);
  expect(complaints.filter((said) => !said.includes("status of 429"))).toEqual([]);
  await context.close();
});
