import { type MemberFields, type Page, accessible, addBranch, addMembers, awake, expect, fits, navigations, test, walk } from "./office";

const heading = (page: Page) => page.getByRole("heading", { level: 1 });
const names = (page: Page) => page.locator("tbody .name a");
const toast = (page: Page) => page.locator(".toasts .notice");
const summary = (page: Page) => page.locator(".summary");
const dialog = (page: Page) => page.getByRole("dialog");
const found = (page: Page) => page.locator(".head p");

const LONG = "Wolfeschlegelsteinhausenbergerdorffwelchevoralternwaren";

async function choose(page: Page, branch = "Main church", status = "Member") {
  await page.getByLabel("Branch").selectOption(branch);
  await page.getByLabel("Status", { exact: true }).selectOption(status);
}

test("an empty office leads to the first member", { tag: "@either-way" }, async ({ page, office }) => {
  await page.goto("/members");
  await expect(page.getByRole("heading", { name: "Nobody is here yet" })).toBeVisible();
  await expect(page.locator("main .primary"), "one thing to do").toHaveCount(1);
  await page.getByRole("link", { name: "Add the first member" }).click();
  await page.getByLabel("First name").fill("Naomi");
  await page.getByLabel("Last name").fill("Achieng");
  await choose(page);
  await page.getByLabel("Mobile phone").fill("+254 712 345 678");
  await page.getByLabel("Email").fill("naomi@example.org");
  await page.getByLabel("Notes").fill("Sings alto.\nCall after six.");
  await page.getByRole("button", { name: "Save" }).click();

  await expect(heading(page)).toHaveText("Naomi Achieng");
  await expect(toast(page)).toHaveText("The member is added.");
  await expect(page.getByRole("link", { name: "0712 345678" })).toHaveAttribute("href", "tel:+254712345678");
  await page.reload();
  await expect(toast(page), "said once").toHaveCount(0);
  await page.goto("/members");
  await expect(names(page)).toHaveText(["Achieng, Naomi"]);
});

test("a member is changed", { tag: "@either-way" }, async ({ page, office }) => {
  const [naomi] = await addMembers(page, [{ first_name: "Naomi", last_name: "Achieng", preferred_name: "Nao", email: "naomi@example.org" }]);
  await page.goto(naomi);
  await page.getByRole("link", { name: "Edit" }).click();
  await expect(page.getByLabel("Email")).toHaveValue("naomi@example.org");
  await expect(page.getByLabel("Called by"), "what is filled in is not folded away").toBeVisible();
  await page.getByLabel("Last name").fill("Otieno");
  await page.getByLabel("Day").fill("29");
  await page.getByLabel("Month").selectOption("February");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(heading(page)).toHaveText("Naomi Otieno");
  await expect(toast(page)).toHaveText("Your changes are saved.");
  await expect(page.getByText("29 February")).toBeVisible();

  await page.getByRole("link", { name: "Edit" }).click();
  await page.getByLabel("Last name").fill("Nobody");
  await page.getByRole("link", { name: "Cancel" }).click();
  await expect(heading(page)).toHaveText("Naomi Otieno");
});

test("what is wrong is said before anything is sent", async ({ page, office }) => {
  await addBranch(page, "Westlands");
  await page.goto("/members/new");
  await awake(page);
  const sent = navigations(page);
  await page.getByLabel("Email").fill("naomi");
  await page.getByLabel("Mobile phone").fill("call me");
  await page.getByLabel("Day").fill("31");
  await page.getByLabel("Month").selectOption("April");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(summary(page)).toBeFocused();
  await expect(summary(page)).toBeInViewport();
  const why = {
    "First name": "Enter a first or last name.",
    "Last name": "Enter a last or first name.",
    Branch: "Choose the branch.",
    Status: "Choose the status.",
    Email: "An email address has an @, like name@example.org.",
    "Mobile phone": "Use digits and spaces only, with + in front of a country's code.",
    Day: "There is no such day in the calendar.",
  };
  await expect(summary(page).getByRole("link")).toHaveCount(Object.keys(why).length);
  for (const [label, words] of Object.entries(why)) {
    const field = page.getByLabel(new RegExp(`^${label}`));
    await expect(field).toHaveAccessibleDescription(words);
    await summary(page).getByRole("link", { name: words }).click();
    await expect(field).toBeFocused();
    await expect(field, "not behind a bar").toBeInViewport({ ratio: 1 });
  }
  await page.getByLabel("Day").fill("30");
  await expect(page.getByLabel("Day")).toHaveAccessibleDescription("");
  expect(sent).toEqual([]);
});

test("errors are listed in the order of their fields", { tag: "@either-way" }, async ({ page, office }) => {
  await addBranch(page, "Westlands");
  await page.goto("/members/new");
  await page.getByLabel("Email").fill("naomi");
  await page.getByLabel("Joined").fill("1066-10-14");
  await page.getByLabel("Baptised").fill("1066-10-14");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(summary(page)).toBeFocused();
  const listed = await summary(page).getByRole("link").evaluateAll((links) => links.map((link) => link.getAttribute("href")!.slice(1)));
  const shown = await page.locator(".field.wrong").evaluateAll((fields) => fields.map((field) => (field as HTMLElement).dataset.field));
  expect(listed).toEqual(shown);
});

test("what only the server knows is said at its field, and what was typed stays", { tag: "@either-way" }, async ({ page, office }) => {
  await page.goto("/members/new");
  await page.getByLabel("First name").fill("Naomi");
  await page.getByLabel("Last name").fill("<b>O'Brien & Co</b>");
  await choose(page, "Main church", "Visitor");
  await page.getByLabel("Mobile phone").fill("071234567");
  await page.getByLabel("Notes").fill("</textarea>\nSings alto.");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(summary(page)).toBeFocused();
  await expect(summary(page).getByRole("heading")).toHaveText("One thing needs another look");
  await expect(page.getByLabel("Mobile phone")).toHaveAccessibleDescription(/^This is not a telephone number in Kenya\./);
  await expect(page.getByLabel("Mobile phone")).toHaveValue("071234567");
  await expect(page.getByLabel("Last name")).toHaveValue("<b>O'Brien & Co</b>");
  await expect(page.getByLabel("Status", { exact: true }).locator(":checked")).toHaveText("Visitor");
  await expect(page.getByLabel("Notes")).toHaveValue("</textarea>\nSings alto.");

  await page.getByLabel("Mobile phone").fill("0712345678");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(heading(page)).toHaveText("Naomi <b>O'Brien & Co</b>");
  await expect(page.getByText("</textarea>\nSings alto.")).toBeVisible();
});

test("archiving asks first, in a dialog", async ({ page, office }) => {
  const [naomi] = await addMembers(page, [{ first_name: "Naomi", last_name: "Achieng" }]);
  await page.goto(naomi);
  await awake(page);
  const archive = page.getByRole("link", { name: "Archive" });
  const keep = dialog(page).getByRole("link", { name: "Keep them" });

  await archive.press("Enter");
  await expect(dialog(page)).toHaveAccessibleName("Archive Naomi Achieng?");
  await expect(keep, "the harmless answer is the first").toBeFocused();
  await accessible(page);
  await page.keyboard.press("Tab");
  await expect(dialog(page).getByRole("button", { name: "Archive" })).toBeFocused();
  await page.keyboard.press("Escape");
  await expect(dialog(page)).toBeHidden();
  await expect(archive).toBeFocused();

  await archive.click();
  await keep.click();
  await expect(dialog(page)).toBeHidden();
  await expect(archive).toBeFocused();
  await expect(page, "the question has no address").toHaveURL(naomi);

  await archive.click();
  await dialog(page).getByRole("button", { name: "Archive" }).click();
  await expect(toast(page)).toHaveText("The member is archived. Nothing was deleted.");
  await isArchivedAndBack(page);
});

test("archiving asks first, on a page", { tag: "@without-script" }, async ({ page, office }) => {
  const [naomi] = await addMembers(page, [{ first_name: "Naomi", last_name: "Achieng" }]);
  await page.goto(naomi);
  await page.getByRole("link", { name: "Archive" }).click();
  await expect(heading(page)).toHaveText("Archive Naomi Achieng?");
  await page.getByRole("link", { name: "Keep them" }).click();
  await expect(heading(page)).toHaveText("Naomi Achieng");
  await page.getByRole("link", { name: "Archive" }).click();
  await page.getByRole("button", { name: "Archive" }).click();
  await isArchivedAndBack(page);
});

async function isArchivedAndBack(page: Page) {
  await expect(page.getByText("This member is archived.")).toBeVisible();
  await expect(page.getByRole("link", { name: "Archive" })).toHaveCount(0);
  await page.goto("/members");
  await expect(names(page)).toHaveCount(0);
  await page.goto("/members?show=archived");
  await page.getByRole("link", { name: "Achieng, Naomi" }).click();
  await page.getByRole("button", { name: "Bring them back" }).click();
  await expect(toast(page)).toHaveText("The member is back.");
  await page.goto("/members");
  await expect(names(page)).toHaveText(["Achieng, Naomi"]);
}

/** Thirty members whose names sort as they are numbered; every third in Westlands, every tenth a visitor. */
async function fill(page: Page) {
  await addBranch(page, "Westlands");
  const numbers = Array.from({ length: 30 }, (_, n) => n + 1);
  await addMembers(
    page,
    numbers.map((n): MemberFields => ({
      first_name: "Person",
      last_name: `No ${String(n).padStart(2, "0")}`,
      branch: n % 3 ? "Main church" : "Westlands",
      status: n % 10 ? "Member" : "Visitor",
      email: `person${n}@example.org`,
    })),
  );
  await page.goto("/members");
}

test("searching, filtering, sorting and turning pages live in the address", async ({ page, office }) => {
  await fill(page);
  await awake(page);
  await expect(found(page)).toHaveText("30 people in 2 branches");
  await expect(names(page)).toHaveCount(25);
  const pages = page.getByRole("navigation", { name: "Pages" });
  await expect(pages).toContainText("1–25 of 30");
  await expect(pages.getByRole("link")).toHaveText(["Next"]);
  await pages.getByRole("link", { name: "Next" }).click();
  await expect(page).toHaveURL("/members?page=2");
  await expect(names(page)).toHaveText([26, 27, 28, 29, 30].map((n) => `No ${n}, Person`));

  // Choosing is enough; nobody has to press "Search". It starts at the first page again.
  await awake(page);
  await page.getByLabel("Branch").selectOption("Westlands");
  await expect(found(page)).toHaveText("10 people found");
  await expect(names(page).first()).toHaveText("No 03, Person");
  await page.getByLabel("Search members").fill("person1");
  await page.getByLabel("Search members").press("Enter");
  await expect(names(page)).toHaveText(["No 12, Person", "No 15, Person", "No 18, Person"]);
  await expect(page.getByLabel("Branch").locator(":checked")).toHaveText("Westlands");

  await page.goBack();
  await expect(found(page)).toHaveText("10 people found");
  await expect(page.getByLabel("Search members")).toHaveValue("");
  await page.goBack();
  await expect(page.getByLabel("Branch").locator(":checked")).toHaveText("All branches");
  await expect(pages).toContainText("26–30 of 30");
  await page.goForward();
  await page.goForward();
  await expect(names(page)).toHaveText(["No 12, Person", "No 15, Person", "No 18, Person"]);
  await expect(page.getByLabel("Search members")).toHaveValue("person1");
  await page.reload();
  await expect(names(page)).toHaveCount(3);

  await awake(page);
  await page.getByLabel("Search members").fill("nobody at all");
  await page.getByRole("button", { name: "Search" }).click();
  await expect(page.getByRole("heading", { name: "Nobody fits" })).toBeVisible();
  await page.getByRole("link", { name: "Clear the search" }).click();
  await expect(page).toHaveURL("/members");
  await expect(found(page)).toHaveText("30 people in 2 branches");
});

test("a column sorts both ways", { tag: "@desktop" }, async ({ page, office }) => {
  await fill(page);
  const header = (name: string) => page.getByRole("columnheader", { name });
  await expect(page.getByRole("table", { name: "Members, sorted by name" })).toBeVisible();
  await expect(header("Name")).toHaveAttribute("aria-sort", "ascending");
  await header("Name").getByRole("link").click();
  await expect(page).toHaveURL("/members?sort=-name");
  await expect(header("Name")).toHaveAttribute("aria-sort", "descending");
  await expect(names(page).first()).toHaveText("No 30, Person");

  await header("Status").getByRole("link").press("Enter");
  await expect(header("Status")).toHaveAttribute("aria-sort", "ascending");
  await expect(header("Name")).not.toHaveAttribute("aria-sort");
  await expect(page.locator("tbody .badge").first()).toHaveText("Visitor");
  await awake(page);
  await page.getByLabel("Branch").selectOption("Westlands");
  await expect(page, "the order stays when the filter changes").toHaveURL(/sort=status/);
  await expect(header("Status")).toHaveAttribute("aria-sort", "ascending");
});

test("without a script, the button does it", { tag: "@without-script" }, async ({ page, office }) => {
  await fill(page);
  await page.getByLabel("Branch").selectOption("Westlands");
  await page.getByLabel("Search members").fill("person1");
  await page.getByRole("button", { name: "Search" }).click();
  await expect(names(page)).toHaveText(["No 12, Person", "No 15, Person", "No 18, Person"]);
  await page.getByRole("columnheader", { name: "Name" }).getByRole("link").click();
  await expect(names(page)).toHaveText(["No 18, Person", "No 15, Person", "No 12, Person"]);
  await page.goto("/members");
  await page.getByRole("link", { name: "Next" }).click();
  await expect(names(page)).toHaveCount(5);
  await page.getByRole("link", { name: "Previous" }).click();
  await expect(names(page)).toHaveCount(25);
});

test("a form opened for a branch has chosen it", async ({ page, office }) => {
  const westlands = await addBranch(page, "Westlands");
  await page.goto(`/members/new?branch=${westlands.split("/").pop()}`);
  await expect(page.getByLabel("Branch").locator(":checked")).toHaveText("Westlands");
});

test("long names stay inside", async ({ page, office }) => {
  await addBranch(page, `Fellowship of ${LONG}`, { city: LONG });
  const branch = `Fellowship of ${LONG}`;
  const [member] = await addMembers(page, [
    { first_name: LONG, last_name: `${LONG}-${LONG.slice(0, 20)}`, branch, email: `${LONG}@${LONG}.example.org`, notes: `https://example.org/${LONG.repeat(3)}` },
    { first_name: "Ann", last_name: "Lee", branch },
  ]);
  for (const path of ["/", "/members", member, `${member}/edit`, `${member}/archive`]) {
    await page.goto(path);
    await fits(page);
  }
  await page.goto(member);
  await awake(page);
  await page.getByRole("link", { name: "Archive" }).click();
  await expect(dialog(page).getByRole("button", { name: "Archive" })).toBeInViewport({ ratio: 1 });
  await fits(page);

  // What is cut short can be read as a whole, and the name is never what gives way.
  await page.goto("/members");
  const cut = page.getByRole("row").filter({ hasText: `${LONG}-` });
  await expect(cut.locator(".name a")).toHaveAttribute("title", new RegExp(LONG));
  await expect(cut.getByTitle(branch)).toBeVisible();
  await page.goto("/");
  const short = page.getByRole("link", { name: "Lee, Ann" });
  expect(await short.evaluate((link) => link.scrollWidth <= link.clientWidth), "Lee, Ann is shown whole").toBe(true);
});

test.describe("on a small phone", { tag: "@phone" }, () => {
  test.use({ viewport: { width: 360, height: 740 } });

  test("a row is a name with two facts, and the whole of it leads on", async ({ page, office }) => {
    const [naomi] = await addMembers(page, [{ first_name: "Naomi", last_name: "Achieng", email: "naomi@example.org", mobile: "0712345678" }]);
    await page.goto("/members");
    await fits(page);
    const row = page.getByRole("row").filter({ hasText: "Achieng" });
    await expect(row.getByRole("cell").filter({ visible: true })).toHaveText([/Achieng, Naomi$/, "Main church", "Member"]);
    const box = (await row.boundingBox())!;
    await page.mouse.click(box.x + box.width - 10, box.y + box.height - 8);
    await expect(page).toHaveURL(naomi);
  });

  test("the doors are in reach of a thumb", async ({ page, office }) => {
    const doors = page.getByRole("navigation", { name: "Main" }).getByRole("link");
    await expect(doors).toHaveText(["Home", "Members", "Branches"]);
    for (const door of await doors.all()) {
      const box = (await door.boundingBox())!;
      expect(box.y).toBeGreaterThan(740 - 80);
      expect(box.height).toBeGreaterThanOrEqual(44);
    }
    await doors.nth(1).click();
    await expect(page).toHaveURL("/members");
    await expect(doors.nth(1)).toHaveAttribute("aria-current", "page");
  });
});

test("what has focus is never behind a bar", async ({ page, office }) => {
  const [member] = await addMembers(page, Array.from({ length: 12 }, (_, n) => ({ first_name: "Person", last_name: `No ${n}` })));
  for (const path of ["/members", "/members/new", `${member}/edit`]) {
    await page.goto(path);
    await awake(page);
    expect((await walk(page)).length).toBeGreaterThan(12);
  }
});

test("nor behind what is said in passing", async ({ page, office }) => {
  const [member] = await addMembers(page, [{ first_name: "Naomi", last_name: "Achieng", notes: "Sings.\n".repeat(30) }]);
  await page.goto(member);
  await awake(page);
  await page.getByRole("link", { name: "Archive" }).click();
  await dialog(page).getByRole("button", { name: "Archive" }).click();
  await expect(toast(page)).toBeVisible();
  await awake(page);
  await walk(page);
  await page.keyboard.press("End");
  await expect(page.getByText("Sings.").last()).toBeInViewport();
  const last = () =>
    page.getByText("Sings.").last().evaluate((notes) => {
      const { left, bottom } = notes.getBoundingClientRect();
      return document.elementFromPoint(left + 10, bottom - 10) === notes;
    });
  await expect.poll(last, "the last line can be read").toBe(true);
});
