import { type Page, accessible, addMembers, awake, expect, fits, navigations, tabTo, test, walk } from "./office";

const heading = (page: Page) => page.getByRole("heading", { level: 1 });
const names = (page: Page) => page.locator("tbody .name a");
const toast = (page: Page) => page.locator(".toasts .notice");
const dialog = (page: Page) => page.getByRole("dialog");
const newTags = (page: Page) => page.getByLabel("New tags");
const tags = (page: Page) => page.locator("dd .chip");

const LONG = "Wolfeschlegelsteinhausenbergerdorffwelchevoralter";

test("tags are written down, ticked and taken off", { tag: "@either-way" }, async ({ page, office }) => {
  const [naomi, kevin] = await addMembers(page, [
    { first_name: "Naomi", last_name: "Achieng" },
    { first_name: "Kevin", last_name: "Barasa" },
  ]);
  await page.goto(`${naomi}/edit`);
  await expect(page.getByRole("group", { name: "Tags" }).getByRole("checkbox")).toHaveCount(0);
  await newTags(page).fill("Choir, needs   a lift");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(tags(page)).toHaveText(["Choir", "needs a lift"]);

  await page.goto(`${kevin}/edit`);
  await page.getByRole("checkbox", { name: "Choir" }).check();
  await newTags(page).fill("Ushers");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(tags(page)).toHaveText(["Choir", "Ushers"]);
  await page.goto(`${naomi}/edit`);
  await expect(page.getByRole("checkbox", { name: "Choir" })).toBeChecked();
  await expect(page.getByRole("checkbox", { name: "Ushers" })).not.toBeChecked();
  await page.getByRole("checkbox", { name: "needs a lift" }).uncheck();
  await page.getByRole("button", { name: "Save" }).click();
  await expect(tags(page)).toHaveText(["Choir"]);

  await tags(page).click();
  await expect(page).toHaveURL("/members?tag=Choir");
  await expect(names(page)).toHaveText(["Achieng, Naomi", "Barasa, Kevin"]);
});

test("the list is filtered by a tag", { tag: "@either-way" }, async ({ page, javaScriptEnabled, office }) => {
  await addMembers(page, [
    { first_name: "Naomi", last_name: "Achieng", new_tags: "Choir, Ushers, R&B" },
    { first_name: "Kevin", last_name: "Barasa", new_tags: "Ushers", status: "Visitor" },
    { first_name: "Miriam", last_name: "Chebet" },
  ]);
  const apply = async () => {
    if (!javaScriptEnabled) await page.getByRole("button", { name: "Search" }).click();
  };
  await page.goto("/members");
  if (javaScriptEnabled) await awake(page);
  await page.getByLabel("Tag").selectOption("Ushers");
  await apply();
  await expect(page).toHaveURL(/tag=Ushers/);
  await expect(names(page)).toHaveText(["Achieng, Naomi", "Barasa, Kevin"]);
  if (javaScriptEnabled) await awake(page);
  await page.getByLabel("Status").selectOption("Visitor");
  await apply();
  await expect(names(page)).toHaveText(["Barasa, Kevin"]);
  await expect(page.getByLabel("Tag").locator(":checked")).toHaveText("Ushers");
  await page.goBack();
  await expect(names(page)).toHaveCount(2);
  await page.getByRole("link", { name: "Clear" }).click();
  await expect(names(page)).toHaveCount(3);
  await page.goto("/members?tag=R%26B");
  await expect(names(page)).toHaveText(["Achieng, Naomi"]);
});

test("what is wrong is said before anything is sent, and stays", async ({ page, office }) => {
  const [naomi] = await addMembers(page, [{ first_name: "Naomi", last_name: "Achieng", new_tags: "Choir" }]);
  await page.goto(`${naomi}/edit`);
  await awake(page);
  const sent = navigations(page);
  const why = "Use at most 20 tags for a member; these are 22.";
  await newTags(page).fill(Array.from({ length: 21 }, (_, n) => `No ${n}`).join(", "));
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.locator(".summary")).toBeFocused();
  await expect(newTags(page)).toHaveAccessibleDescription(new RegExp(why));
  await page.locator(".summary").getByRole("link", { name: why }).click();
  await expect(newTags(page)).toBeFocused();
  await expect(newTags(page)).toBeInViewport({ ratio: 1 });
  await accessible(page);
  await newTags(page).fill(`${LONG} and more`);
  await page.getByRole("button", { name: "Save" }).click();
  await expect(newTags(page)).toHaveAccessibleDescription(/Use at most 50 characters for a tag/);
  expect(sent).toEqual([]);
  await newTags(page).fill("CHOIR");
  await expect(newTags(page), "its mark goes as soon as it is right").not.toHaveAccessibleDescription(/Use at most/);
  await page.getByRole("button", { name: "Save" }).click();
  await expect(tags(page), "the same tag, however it is written").toHaveText(["Choir"]);
});

test("what only the server knows is said at its field, and what was ticked stays", { tag: "@without-script" }, async ({ page, office }) => {
  const [naomi] = await addMembers(page, [{ first_name: "Naomi", last_name: "Achieng", new_tags: "Choir, Ushers" }]);
  await page.goto(`${naomi}/edit`);
  await page.getByRole("checkbox", { name: "Choir" }).uncheck();
  await newTags(page).fill("<b>R&B</b>");
  await page.getByLabel("Mobile phone").fill("071234567");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.locator(".summary")).toContainText("This is not a telephone number in Kenya.");
  await expect(page.getByRole("checkbox", { name: "Choir" })).not.toBeChecked();
  await expect(page.getByRole("checkbox", { name: "Ushers" })).toBeChecked();
  await expect(newTags(page)).toHaveValue("<b>R&B</b>");
  await page.getByLabel("Mobile phone").fill("");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(tags(page)).toHaveText(["<b>R&B</b>", "Ushers"]);
});

test("from the menu to the tags, and from a tag to who bears it", { tag: "@either-way" }, async ({ page, office }) => {
  await page.locator(".who summary").click();
  await page.getByRole("link", { name: "Settings" }).click();
  const rooms = page.getByRole("navigation", { name: "Settings" });
  await expect(rooms.getByRole("link", { name: "Access tokens" })).toHaveAttribute("aria-current", "page");
  await rooms.getByRole("link", { name: "Tags" }).click();
  await expect(page.getByRole("heading", { name: "There are no tags yet" })).toBeVisible();
  await expect(page.locator("main .primary"), "one thing to do").toHaveCount(1);
  await addMembers(page, [
    { first_name: "Naomi", last_name: "Achieng", new_tags: "Choir, Ushers" },
    { first_name: "Kevin", last_name: "Barasa", new_tags: "Choir" },
  ]);
  await page.reload();
  await expect(page.locator("tbody .name")).toHaveText(["Choir", "Ushers"]);
  await page.getByRole("link", { name: "2 members with Choir" }).click();
  await expect(names(page)).toHaveText(["Achieng, Naomi", "Barasa, Kevin"]);
});

test("a tag is renamed", { tag: "@either-way" }, async ({ page, office }) => {
  const [naomi] = await addMembers(page, [{ first_name: "Naomi", last_name: "Achieng", new_tags: "Choir, Ushers" }]);
  await page.goto("/settings/tags");
  await page.getByRole("link", { name: "Rename Choir" }).click();
  await page.getByLabel("Name").fill("ushers");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByLabel("Name")).toHaveAccessibleDescription(/Another tag has this name\.$/);
  await expect(page.getByLabel("Name")).toHaveValue("ushers");
  await page.getByLabel("Name").fill("Singers");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(toast(page)).toHaveText("Your changes are saved.");
  await expect(page.locator("tbody .name")).toHaveText(["Singers", "Ushers"]);
  await page.goto(naomi);
  await expect(tags(page)).toHaveText(["Singers", "Ushers"]);
});

test("removing asks first, in a dialog", async ({ page, office }) => {
  await addMembers(page, [{ first_name: "Naomi", last_name: "Achieng", new_tags: "Choir, Ushers" }]);
  await page.goto("/settings/tags");
  await awake(page);
  const remove = page.getByRole("link", { name: "Remove Choir" });
  await tabTo(page, remove);
  await page.keyboard.press("Enter");
  await expect(dialog(page)).toHaveAccessibleName("Remove Choir?");
  await expect(dialog(page)).toContainText("One member loses it.");
  await expect(dialog(page).getByRole("link", { name: "Keep it" }), "the harmless answer is the first").toBeFocused();
  await accessible(page);
  await page.keyboard.press("Escape");
  await expect(dialog(page)).toBeHidden();
  await expect(remove).toBeFocused();
  await remove.click();
  await dialog(page).getByRole("button", { name: "Remove" }).click();
  await expect(toast(page)).toHaveText("The tag is removed, and nobody bears it any more.");
  await expect(page.locator("tbody .name")).toHaveText(["Ushers"]);
});

test("removing asks first, on a page", { tag: "@without-script" }, async ({ page, office }) => {
  await addMembers(page, [{ first_name: "Naomi", last_name: "Achieng", new_tags: "Choir" }]);
  await page.goto("/settings/tags");
  await page.getByRole("link", { name: "Remove Choir" }).click();
  await expect(heading(page)).toHaveText("Remove Choir?");
  await page.getByRole("link", { name: "Keep it" }).click();
  await page.getByRole("link", { name: "Remove Choir" }).click();
  await page.getByRole("button", { name: "Remove" }).click();
  await expect(toast(page)).toHaveText("The tag is removed, and nobody bears it any more.");
  await expect(page.getByRole("heading", { name: "There are no tags yet" })).toBeVisible();
});

test("with long names and many tags the pages are sound, light and dark", async ({ page, office }) => {
  const many = Array.from({ length: 18 }, (_, n) => `Small group ${n + 1}`);
  const [naomi] = await addMembers(page, [
    { first_name: "Naomi", last_name: "Achieng", new_tags: [LONG, ...many].join(",") },
    ...Array.from({ length: 5 }, (_, n) => ({ first_name: "Person", last_name: `No ${n}`, new_tags: many.map((tag) => `${tag} of ${n}`).join(",") })),
  ]);
  for (const path of ["/settings/tags", naomi, `${naomi}/edit`, `/members?tag=${LONG}`]) {
    await page.goto(path);
    await awake(page);
    await fits(page);
    await accessible(page);
    await page.emulateMedia({ colorScheme: "dark" });
    await accessible(page, "color-contrast");
    await page.emulateMedia({ colorScheme: "light" });
  }
  await page.goto(`${naomi}/edit`);
  const last = page.getByRole("checkbox", { name: "Small group 9 of 4" });
  await last.focus();
  await expect(last).toBeInViewport({ ratio: 1 });
  await page.goto("/settings/tags");
  await awake(page);
  await page.getByRole("link", { name: `Remove ${LONG}` }).click();
  await expect(dialog(page).getByRole("button", { name: "Remove" })).toBeInViewport({ ratio: 1 });
  await fits(page);
});

test("every stop of the keyboard can be seen", { tag: "@desktop" }, async ({ page, office }) => {
  const many = Array.from({ length: 18 }, (_, n) => `Group ${n}`).join(",");
  const [naomi] = await addMembers(page, [{ first_name: "Naomi", last_name: "Achieng", new_tags: many }]);
  for (const path of [`${naomi}/edit`, "/settings/tags"]) {
    await page.goto(path);
    await awake(page);
    expect((await walk(page)).length, path).toBeGreaterThan(20);
  }
});

test("a row of the list shows the first three", { tag: "@desktop" }, async ({ page, office }) => {
  await addMembers(page, [{ first_name: "Naomi", last_name: "Achieng", new_tags: `Choir, Ushers, Youth, ${LONG}, Band` }]);
  await page.goto("/members");
  const shown = page.locator("tbody .tags .badge");
  await expect(shown).toHaveText(["Band", "Choir", "Ushers", "+2"]);
  await expect(shown.last()).toHaveAttribute("title", `${LONG}, Youth`);
});

test.describe("on a small phone", { tag: "@phone" }, () => {
  test.use({ viewport: { width: 360, height: 740 } });

  test("a row stays a name with two facts", async ({ page, office }) => {
    await addMembers(page, [{ first_name: "Naomi", last_name: "Achieng", new_tags: "Choir, Ushers" }]);
    await page.goto("/members");
    await fits(page);
    await expect(page.locator("tbody .tags")).toBeHidden();
    await page.goto("/settings/tags");
    await fits(page);
    await expect(page.getByRole("link", { name: "Remove Choir" })).toBeInViewport({ ratio: 1 });
    await page.getByRole("link", { name: "1 member with Choir" }).click();
    await expect(page).toHaveURL("/members?tag=Choir");
  });
});
