import { PIXEL, type Page, accessible, addBranch, addMembers, awake, expect, fits, test } from "./office";

const heading = (page: Page) => page.getByRole("heading", { level: 1 });
const toast = (page: Page) => page.locator(".toasts .notice");
const picture = (page: Page) => page.locator(".titled .avatar img");

const file = (name: string, mimeType: string, buffer: Buffer) => ({ name, mimeType, buffer });

/** Whether the picture is there, and not only asked for. */
async function isShown(page: Page) {
  await expect(picture(page)).toHaveCount(1);
  if (test.info().project.use.javaScriptEnabled === false) return;
  await expect.poll(() => picture(page).evaluate((image: HTMLImageElement) => image.complete && image.naturalWidth > 0)).toBe(true);
}

test("a member gets a photo, and loses it again", { tag: "@either-way" }, async ({ page, office }) => {
  const [naomi] = await addMembers(page, [{ first_name: "Naomi", last_name: "Achieng" }]);
  await page.goto(naomi);
  await expect(picture(page)).toHaveCount(0);
  await page.getByRole("link", { name: "Photo" }).click();
  await expect(heading(page)).toHaveText("Photo of Naomi Achieng");
  await accessible(page);
  await fits(page);
  await page.getByLabel("Choose a picture").setInputFiles(file("naomi.png", "image/png", PIXEL));
  await page.getByRole("button", { name: "Save" }).click();
  await expect(heading(page)).toHaveText("Naomi Achieng");
  await expect(toast(page)).toHaveText("The picture is saved.");
  await isShown(page);
  await accessible(page);
  await page.goto("/members");
  await expect(page.locator("tbody .avatar img")).toHaveCount(1);
  await accessible(page);
  await page.goto("/");
  await expect(page.locator(".rows .avatar img")).toHaveCount(1);
  await accessible(page);

  await page.goto(`${naomi}/photo`);
  await accessible(page);
  await page.getByRole("button", { name: "Remove the picture" }).click();
  await expect(toast(page)).toHaveText("The picture is removed.");
  await expect(picture(page)).toHaveCount(0);
});

test("what is no picture is refused in words", { tag: "@either-way" }, async ({ page, office }) => {
  const [naomi] = await addMembers(page, [{ first_name: "Naomi", last_name: "Achieng" }]);
  await page.goto(`${naomi}/photo`);
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.locator("#photo-why")).toHaveText("Choose a picture first.");
  await page.getByLabel("Choose a picture").setInputFiles(file("naomi.png", "image/png", Buffer.from("not a picture")));
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.locator("#photo-why")).toHaveText("This is not a picture we can read. Choose a JPEG, PNG or WebP file.");
  await expect(page.locator(".summary")).toBeVisible();
  await accessible(page);
  await fits(page);
});

test("a branch gets a picture", async ({ page, office }) => {
  const westlands = await addBranch(page, "Westlands");
  await page.goto(westlands);
  await awake(page);
  await page.getByRole("link", { name: "Picture" }).click();
  await page.getByLabel("Choose a picture").setInputFiles(file("westlands.png", "image/png", PIXEL));
  await page.getByRole("button", { name: "Save" }).click();
  await expect(heading(page)).toHaveText("Westlands");
  await isShown(page);
  await accessible(page);
  await page.emulateMedia({ colorScheme: "dark" });
  await accessible(page, "color-contrast");
});
