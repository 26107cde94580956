import { type Page, accessible, addBranch, addMembers, awake, expect, fits, navigations, test } from "./office";

const heading = (page: Page) => page.getByRole("heading", { level: 1 });
const names = (page: Page) => page.locator("tbody .name a");
const toast = (page: Page) => page.locator(".toasts .notice");
const summary = (page: Page) => page.locator(".summary");
const dialog = (page: Page) => page.getByRole("dialog");

test("a new office has its main branch, and is told what branches are", async ({ page, office }) => {
  await page.goto("/branches");
  await expect(names(page)).toHaveText(["Main church"]);
  await expect(page.getByText("A branch is a place where your church meets.")).toBeVisible();
  await page.goto("/branches?show=archived");
  await expect(page.getByRole("heading", { name: "Nothing is archived" })).toBeVisible();
  await page.getByRole("link", { name: "Show open branches" }).click();
  await expect(page).toHaveURL("/branches");
  await page.goto("/branches?search=nowhere");
  await expect(page.getByText("Nothing was found for “nowhere”.")).toBeVisible();
  await page.getByRole("link", { name: "Clear the search" }).click();
  await expect(names(page)).toHaveCount(1);
});

test("a branch is added and changed", { tag: "@either-way" }, async ({ page, office }) => {
  await page.goto("/branches");
  await page.getByRole("link", { name: "Add a branch" }).click();
  await expect(page.getByLabel("Time zone"), "where the church is").toHaveValue("Africa/Nairobi");
  await page.getByLabel("Name", { exact: true }).fill("Westlands");
  await page.getByLabel("Short code").fill("WL");
  await page.getByLabel("Belongs to").selectOption("Main church");
  await page.getByLabel("Services").fill("Sundays 9:00\nWednesdays 18:30");
  await page.getByLabel("Phone").fill("020 1234567");
  await page.getByLabel("Website").fill("westlands.example.org");
  await page.getByLabel("City").fill("Nairobi");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(heading(page)).toHaveText("Westlands");
  await expect(toast(page)).toHaveText("The branch is added.");
  await expect(page.getByText("Belongs to Main church · 0 members")).toBeVisible();
  await expect(page.getByRole("link", { name: "westlands.example.org" })).toHaveAttribute("href", "https://westlands.example.org");
  await page.reload();
  await expect(toast(page), "said once").toHaveCount(0);

  await page.getByRole("link", { name: "Edit" }).click();
  await expect(page.getByLabel("Services")).toHaveValue("Sundays 9:00\nWednesdays 18:30");
  await page.getByLabel("Name", { exact: true }).fill("Westlands Chapel");
  await page.getByLabel("This is the main branch").check();
  await page.getByLabel("Belongs to").selectOption("None");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(toast(page)).toHaveText("Your changes are saved.");
  await expect(page.getByText("The main branch · 0 members")).toBeVisible();
  await expect(page.getByRole("link", { name: "Archive" }), "the main branch stays").toHaveCount(0);
  await page.goto("/branches");
  await expect(names(page)).toHaveText(["Westlands Chapel", "Main church"]);
});

test("what is wrong is said before anything is sent", async ({ page, office }) => {
  await page.goto("/branches/new");
  await awake(page);
  const sent = navigations(page);
  await page.getByLabel("Website").fill("javascript:alert(1)");
  await page.getByLabel("Phone").fill("12");
  await page.getByLabel("Time zone").selectOption("");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(summary(page)).toBeFocused();
  await expect(summary(page).getByRole("link")).toHaveText([
    "Enter the name of the branch.",
    "This number is too short.",
    "This is not a web address. It looks like www.example.org.",
    "Choose the time zone.",
  ]);
  await accessible(page);
  await fits(page);
  await page.getByLabel("Website").fill("www.example.org");
  await expect(page.getByLabel("Website")).not.toHaveAttribute("aria-invalid");
  expect(sent).toEqual([]);
});

test("what only the server knows is said at its field, and what was typed stays", { tag: "@either-way" }, async ({ page, office }) => {
  await page.goto("/branches/new");
  await page.getByLabel("Name", { exact: true }).fill("main CHURCH");
  await page.getByLabel("City").fill("Nairobi");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(summary(page)).toBeFocused();
  await expect(page.getByLabel("Name", { exact: true })).toHaveAccessibleDescription("Another branch has this name.");
  await expect(page.getByLabel("Name", { exact: true })).toHaveValue("main CHURCH");
  await expect(page.getByLabel("City")).toHaveValue("Nairobi");
  await summary(page).getByRole("link").click();
  await expect(page.getByLabel("Name", { exact: true })).toBeFocused();

  await page.goto("/branches");
  await page.getByRole("link", { name: "Main church" }).click();
  await page.getByRole("link", { name: "Edit" }).click();
  await page.getByLabel("This is the main branch").uncheck();
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByLabel("This is the main branch")).toHaveAccessibleDescription(/^A church has one main branch\./);
});

test("archiving asks first, in a dialog", async ({ page, office }) => {
  const westlands = await addBranch(page, "Westlands");
  await addMembers(page, [{ first_name: "Naomi", last_name: "Achieng", branch: "Westlands" }]);
  await page.goto(westlands);
  await awake(page);
  const archive = page.getByRole("link", { name: "Archive" });
  await archive.press("Enter");
  await expect(dialog(page)).toHaveAccessibleName("Archive Westlands?");
  await expect(dialog(page)).toContainText("its 1 member stay");
  await expect(dialog(page).getByRole("link", { name: "Keep it" })).toBeFocused();
  await page.keyboard.press("Escape");
  await expect(archive).toBeFocused();
  await archive.click();
  await dialog(page).getByRole("button", { name: "Archive" }).click();
  await expect(toast(page)).toHaveText("The branch is archived. Nothing was deleted.");
  await isArchivedAndBack(page);
});

test("archiving asks first, on a page", { tag: "@without-script" }, async ({ page, office }) => {
  await page.goto(await addBranch(page, "Westlands"));
  await page.getByRole("link", { name: "Archive" }).click();
  await expect(heading(page)).toHaveText("Archive Westlands?");
  await page.getByRole("link", { name: "Keep it" }).click();
  await page.getByRole("link", { name: "Archive" }).click();
  await page.getByRole("button", { name: "Archive" }).click();
  await isArchivedAndBack(page);
});

async function isArchivedAndBack(page: Page) {
  await expect(page.getByText("This branch is archived.")).toBeVisible();
  await page.goto("/branches");
  await expect(names(page)).toHaveText(["Main church"]);
  await page.goto("/members/new");
  await expect(page.getByLabel("Branch").locator("option")).toHaveText(["Main church"]);
  await page.goto("/branches?show=archived");
  await page.getByRole("link", { name: "Westlands" }).click();
  await page.getByRole("button", { name: "Bring it back" }).click();
  await expect(toast(page)).toHaveText("The branch is back.");
  await page.goto("/branches");
  await expect(names(page)).toHaveText(["Main church", "Westlands"]);
}

test("searching, filtering and turning pages live in the address", async ({ page, office }) => {
  for (let n = 1; n <= 27; n++) await addBranch(page, `House ${String(n).padStart(2, "0")}`, { city: n % 9 ? "Nairobi" : "Kisumu" });
  await page.goto("/branches");
  await expect(page.locator(".head p")).toHaveText("28 places where your church meets");
  await page.getByRole("link", { name: "Next" }).click();
  await expect(page).toHaveURL("/branches?page=2");
  await expect(names(page)).toHaveText(["House 25", "House 26", "House 27"]);
  await page.getByLabel("Search branches").fill("kisumu");
  await page.getByLabel("Search branches").press("Enter");
  await expect(names(page)).toHaveText(["House 09", "House 18", "House 27"]);
  await page.goBack();
  await expect(names(page)).toHaveText(["House 25", "House 26", "House 27"]);
  await expect(page.getByLabel("Search branches")).toHaveValue("");
  await awake(page);
  await page.getByLabel("Which branches").selectOption("Archived");
  await expect(page).toHaveURL(/show=archived/);
  await expect(page.getByRole("heading", { name: "Nothing is archived" })).toBeVisible();
});

test("a branch leads to its members", async ({ page, office }) => {
  const westlands = await addBranch(page, "Westlands");
  await addMembers(page, [{ first_name: "Naomi", last_name: "Achieng", branch: "Westlands" }, { first_name: "Kevin", last_name: "Barasa" }]);
  await page.goto(westlands);
  await page.locator("dd").getByRole("link", { name: "1" }).click();
  await expect(names(page)).toHaveText(["Achieng, Naomi"]);
});

test.describe("on a small phone", { tag: "@phone" }, () => {
  test.use({ viewport: { width: 360, height: 740 } });

  test("a row is a name with two facts", async ({ page, office }) => {
    const westlands = await addBranch(page, "Christ the Redeemer Fellowship of Westlands and Parklands", { city: "Nairobi", phone: "020 1234567" });
    await page.goto("/branches");
    await fits(page);
    const row = page.getByRole("row").filter({ hasText: "Redeemer" });
    await expect(row.getByRole("cell").filter({ visible: true })).toHaveText([/^Christ the Redeemer/, "Nairobi", "0 members"]);
    const [name, fact] = [row.locator(".name a"), row.getByText("Nairobi")];
    expect((await fact.boundingBox())!.y, "facts are under the name").toBeGreaterThanOrEqual((await name.boundingBox())!.y + (await name.boundingBox())!.height);
    for (const path of [westlands, `${westlands}/edit`, `${westlands}/archive`]) {
      await page.goto(path);
      await fits(page);
    }
  });
});
