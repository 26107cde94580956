import { type Page, accessible, awake, expect, fits, test } from "./office";

const heading = (page: Page) => page.getByRole("heading", { level: 1 });
const toast = (page: Page) => page.locator(".toasts .notice");
const dialog = (page: Page) => page.getByRole("dialog");
const token = (page: Page) => page.getByLabel("The token");

const LONG = "Wolfeschlegelsteinhausenbergerdorffwelchevoralternwaren";

/** Makes a token and stays on the page that shows it. */
async function make(page: Page, name: string) {
  await page.goto("/settings/tokens/new");
  await page.getByLabel("Name").fill(name);
  await page.getByRole("button", { name: "Make the token" }).click();
  await expect(heading(page)).toHaveText("Copy your token now");
}

test("a token is made from the menu, shown once and listed", { tag: "@either-way" }, async ({ page, office }) => {
  await page.locator(".who summary").click();
  await page.getByRole("link", { name: "Settings" }).click();
  await expect(page.getByRole("heading", { name: "No program has a token" })).toBeVisible();
  await expect(page.locator("main .primary"), "one thing to do").toHaveCount(1);
  await page.getByRole("link", { name: "Make the first token" }).click();
  await page.getByLabel("Name").fill("Our website");
  await page.getByLabel("What it may do").selectOption("May read and change");
  await page.getByLabel("Expires").selectOption("Never");
  await page.getByRole("button", { name: "Make the token" }).click();

  await expect(heading(page)).toHaveText("Copy your token now");
  await expect(token(page)).toHaveValue(/^vst_[a-z0-9]{24}_[A-Za-z0-9_-]{43}$/);
  await expect(token(page)).not.toBeEditable();
  const shown = await token(page).inputValue();
  await page.getByRole("link", { name: "I have copied it" }).click();
  const row = page.getByRole("row").filter({ hasText: "Our website" });
  await expect(row).toContainText("May read and change");
  expect(await page.content()).not.toContain(shown);
});

test("the button copies the token", async ({ page, context, office }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await make(page, "Our website");
  await awake(page);
  await page.getByRole("button", { name: "Copy" }).click();
  await expect(page.getByText("Copied.")).toBeVisible();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(await token(page).inputValue());
});

test("without a script, the token is selected by hand", { tag: "@without-script" }, async ({ page, office }) => {
  await make(page, "Our website");
  await expect(page.getByRole("button", { name: "Copy" })).toBeHidden();
  await expect(token(page)).toHaveValue(/^vst_/);
});

test("what is wrong is said before anything is sent", async ({ page, office }) => {
  await page.goto("/settings/tokens/new");
  await awake(page);
  await page.getByRole("button", { name: "Make the token" }).click();
  await expect(page.locator(".summary")).toBeFocused();
  await expect(page.getByLabel("Name")).toHaveAccessibleDescription(/Enter a name for the token\.$/);
});

test("revoking asks first, in a dialog", async ({ page, office }) => {
  await make(page, "Our website");
  await make(page, "Old spreadsheet");
  await page.goto("/settings/tokens");
  await awake(page);
  const revoke = page.getByRole("link", { name: "Revoke Old spreadsheet" });
  await revoke.click();
  await expect(dialog(page)).toHaveAccessibleName("Revoke Old spreadsheet?");
  await expect(dialog(page).getByRole("link", { name: "Keep it" }), "the harmless answer is the first").toBeFocused();
  await accessible(page);
  await page.keyboard.press("Escape");
  await expect(dialog(page)).toBeHidden();
  await revoke.click();
  await dialog(page).getByRole("button", { name: "Revoke" }).click();
  await expect(toast(page)).toHaveText("The token is revoked. Whatever uses it is refused.");
  await expect(page.locator("tbody tr")).toHaveCount(1);
  await expect(page.locator("tbody tr")).toContainText("Our website");
});

test("revoking asks first, on a page", { tag: "@without-script" }, async ({ page, office }) => {
  await make(page, "Our website");
  await page.goto("/settings/tokens");
  await page.getByRole("link", { name: "Revoke Our website" }).click();
  await expect(heading(page)).toHaveText("Revoke Our website?");
  await page.getByRole("link", { name: "Keep it" }).click();
  await page.getByRole("link", { name: "Revoke Our website" }).click();
  await page.getByRole("button", { name: "Revoke" }).click();
  await expect(toast(page)).toHaveText("The token is revoked. Whatever uses it is refused.");
  await expect(page.getByRole("heading", { name: "No program has a token" })).toBeVisible();
});

test("its pages are sound, with a long name, light and dark", async ({ page, office }) => {
  const sound = async () => {
    await awake(page);
    await expect(heading(page)).toHaveCount(1);
    await fits(page);
    await accessible(page);
    await page.emulateMedia({ colorScheme: "dark" });
    await accessible(page, "color-contrast");
    await page.emulateMedia({ colorScheme: "light" });
  };
  await make(page, LONG);
  await sound();
  await page.goto("/settings/tokens");
  await sound();
  const revoke = page.getByRole("link", { name: `Revoke ${LONG}` });
  await expect(revoke, "in reach on a phone as well").toBeVisible();
  const question = await revoke.getAttribute("href");
  await revoke.click();
  await expect(dialog(page).getByRole("button", { name: "Revoke" })).toBeInViewport({ ratio: 1 });
  await fits(page);
  await page.goto(question!);
  await sound();
});
