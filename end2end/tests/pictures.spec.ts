// The pictures of the README, made on demand: PICTURES=<folder> npx playwright test
import { join } from "node:path";
import { type Page, addBranch, addMembers, awake, expect, signUp, somebody, test } from "./office";
import { brake, fitBrakes, reachable, release } from "./registry";

test.use({ deviceScaleFactor: 2, timezoneId: "Africa/Nairobi", locale: "en-KE" });
test.beforeAll(() => (reachable ? fitBrakes() : undefined));

const PEOPLE = `
  Naomi Achieng, Daniel Otieno, Léa Diallo, Johan Ekström, Santiago Fernández-Villanueva de la Cruz, Miriam Chebet,
  Kevin Barasa, Grace Wanjirũ, Samuel Kiprotich, Anh Nguyễn, Zofia Wójcik, Tomáš Dvořák, Ana-Maria Ionescu,
  Olúwaṣeun Adébáyọ̀, Ji-woo Park, Haruto Yamamoto, Priya Raghunathan, Thomas O’Sullivan, Fatou Ndiaye, Elif Yılmaz,
  Andrés Muñoz, Beatriz Gonçalves, Wambui Kamau, Peter Mwangi, Esther Njeri, Moses Kiplagat, Ruth Auma, Josephat Wekesa,
  Hannah Müller, Lars Sørensen, Niamh Ní Bhriain, Chidi Okonkwo, Amina Hassan, Joseph Kamande, Mary Nyambura,
  Mihai Popescu, Oksana Kovalenko, Siobhán Byrne, Emmanuel Mensah, Lydia Chepkoech`
  .split(",")
  .map((name) => name.trim().split(" "));

const plain = (text: string) => text.normalize("NFD").replace(/[^a-z]/gi, "").toLowerCase();

const DESK = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 844 };

test("pictures", { tag: "@desktop" }, async ({ page }) => {
  test.setTimeout(180_000);
  /** Of what a window shows, or of one so tall that it shows everything. */
  const picture = async (name: string, height?: number) => {
    const window = page.viewportSize()!;
    if (height) await page.setViewportSize({ ...window, height });
    await page.evaluate(() => document.fonts.ready);
    await page.screenshot({ path: join(process.env.PICTURES ?? "", `${name}.png`) });
    if (height) await page.setViewportSize(window);
  };
  const owner = somebody({ email: "ruth.okafor@example.org" });

  await page.goto("/");
  await picture("welcome");
  await page.goto("/signup");
  await awake(page);
  await page.getByLabel("Name of the church").fill(owner.church);
  await picture("signup");
  await page.getByRole("button", { name: "Continue" }).click();
  await awake(page);
  await page.getByLabel("First name").fill("Ruth");
  await page.getByLabel("Email").fill("ruth@example");
  await page.getByLabel("Password", { exact: true }).pressSequentially("river candle");
  await picture("signup-you");
  await page.getByRole("button", { name: "Open the office" }).click();
  await picture("signup-errors", 1000);

  if (reachable) {
    const held = somebody({ church: "Hope Church" });
    await brake(held.church, "schema");
    await signUp(page, held);
    await expect(page.locator(".run li.now")).toContainText("Bringing it up to date");
    await picture("progress-running");
    await release(held.church, "schema");
    const failed = somebody({ church: "Faith Hall" });
    await brake(failed.church, "failure");
    await signUp(page, failed);
    await page.getByRole("button", { name: "Try again" }).waitFor();
    await picture("progress-failed");
    await page.setViewportSize(PHONE);
    await picture("progress-failed-phone");
    await page.setViewportSize(DESK);
    await release(failed.church, "failure");
  }
  await signUp(page, owner);
  const enter = page.getByRole("button", { name: "Go to your office" });
  await enter.waitFor();
  await picture("progress");
  await enter.click();
  await picture("dashboard-empty");
  await page.goto("/members");
  await picture("members-empty");

  await fill(page);
  for (const [path, name] of [["/", "dashboard"], ["/members", "members"], ["/members?search=nobody+at+all", "members-nobody"], ["/branches", "branches"]]) {
    await page.goto(path);
    await picture(name);
  }
  await page.goto("/members?page=2");
  await picture("members-full", 1500);
  await page.goto("/members?search=Fern%C3%A1ndez");
  await page.getByRole("link", { name: /Fernández/ }).click();
  await picture("member");
  await awake(page);
  await page.getByRole("link", { name: "Archive" }).click();
  await picture("member-archive");
  await page.getByRole("link", { name: "Keep them" }).click();
  await page.getByRole("link", { name: "Edit" }).click();
  await picture("member-edit", 1900);
  await page.getByRole("button", { name: "Save" }).click();
  await page.locator(".notice").first().waitFor();
  await picture("member-saved");
  await page.goto("/members/new");
  await awake(page);
  await page.getByLabel("Email").fill("naomi");
  await page.getByLabel("Mobile").fill("07");
  await page.getByRole("button", { name: "Save" }).click();
  await picture("member-errors");
  await page.goto("/branches");
  await page.getByRole("link", { name: "Westlands" }).click();
  await picture("branch");
  await page.locator(".who summary").click();
  await expect(page.getByRole("button", { name: "Sign out" })).toBeVisible();
  await picture("menu");
  await page.goto("/branches/new");
  await picture("branch-new", 1500);

  for (const width of [1024, 768]) {
    await page.setViewportSize({ width, height: 800 });
    for (const [path, name] of [["/", "dashboard"], ["/members", "members"]]) {
      await page.goto(path);
      await picture(`${name}-${width}`);
    }
  }
  await page.setViewportSize(DESK);
  await page.emulateMedia({ colorScheme: "dark" });
  for (const [path, name] of [["/", "dashboard"], ["/members", "members"], ["/members/new", "member-new"]]) {
    await page.goto(path);
    await picture(`${name}-dark`);
  }
  await awake(page);
  await page.getByRole("button", { name: "Save" }).click();
  await picture("member-errors-dark");

  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize(PHONE);
  for (const [path, name] of [["/", "dashboard"], ["/members", "members"], ["/members/new", "member-new"], ["/branches", "branches"]]) {
    await page.goto(path);
    await picture(`${name}-phone`);
  }
  await awake(page);
  await page.locator(".who summary").click();
  await picture("menu-phone");
  await page.goto("/members?search=Fern%C3%A1ndez");
  await page.getByRole("link", { name: /Fernández/ }).click();
  await awake(page);
  await picture("member-phone", 1550);
  await page.getByRole("link", { name: "Archive" }).click();
  await picture("member-archive-phone");
  await page.emulateMedia({ colorScheme: "dark" });
  await page.goto("/members");
  await picture("members-phone-dark");
});

/** Some forty people of many places in three branches. */
async function fill(page: Page) {
  await addBranch(page, "Westlands", { city: "Nairobi", phone: "020 1234567", short_code: "WL", service_times: "Sundays 9:00 and 11:00\nWednesdays 18:30" });
  await addBranch(page, "Christ the Redeemer Fellowship, Karen and Lang’ata", { city: "Nairobi", email: "karen@grace.example.org" });
  const statuses = ["Member", "Member", "Regular attender", "Member", "Visitor", "Staff", "Member"];
  const branches = ["Main church", "Main church", "Westlands", "Christ the Redeemer Fellowship, Karen and Lang’ata"];
  const soon = new Date(Date.now() + 2 * 24 * 3600 * 1000);
  await addMembers(
    page,
    PEOPLE.map(([first, ...last], n) => ({
      first_name: first,
      last_name: last.join(" "),
      status: statuses[n % statuses.length],
      branch: branches[n % branches.length],
      ...(n % 5 === 3 ? {} : { email: `${plain(first)}.${plain(last.join(""))}@example.org` }),
      ...(n % 6 === 4 ? {} : { mobile: `07${10 + n} ${String(345678 - n * 7919).padStart(6, "1")}` }),
      ...(n % 11 === 2 ? { birth_day: String(soon.getDate()), birth_month: String(soon.getMonth() + 1) } : {}),
      ...(first === "Santiago"
        ? { status: "Member", prefix: "Rev.", preferred_name: "Santi", mobile: "+34 612 345 678", email: "santiago@example.org", joined_on: "2019-05-03", baptised_on: "2020-04-12",
            marital_status: "married", household_role: "head", birth_day: "14", birth_month: "8", birth_year: "1984", anniversary: "2010-06-19",
            notes: "Leads the Spanish-speaking home group on Thursdays.\n\nPrefers a call after six." }
        : {}),
    })),
  );
}
