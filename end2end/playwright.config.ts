// The browser tests, against the release binary on a fresh data folder. VESTRY_URL names a server that runs already.
import { chmodSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { defineConfig, devices } from "@playwright/test";

const binary = process.env.VESTRY_BINARY ?? join(import.meta.dirname, "../target/release/vestry");
const address = process.env.VESTRY_TEST_ADDR ?? "127.0.0.1:3107";
const running = process.env.VESTRY_URL;

// One folder for the run: the workers, which read this file as well, find it in their environment.
if (!running && !process.env.VESTRY_TEST_DATA_DIR) {
  const folder = mkdtempSync(join(tmpdir(), "vestry-end2end-"));
  chmodSync(folder, 0o755); // root's PostgreSQL runs as somebody else
  process.env.VESTRY_TEST_DATA_DIR = folder;
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
}

const installed = ["/usr/bin/chromium", "/usr/bin/google-chrome"];

export default defineConfig({
  testDir: "./tests",
  timeout: 60_000,
  expect: { timeout: 10_000 }, // of a machine that may be busy
  workers: 2,
  forbidOnly: !!process.env.CI,
  // PICTURES names a folder, and then the pictures of the README are made, and nothing is tested.
  testMatch: process.env.PICTURES ? "pictures.spec.ts" : "!(pictures).spec.ts",
  reporter: [["list"], ["html", { open: "never" }]],
  use: {
    baseURL: running ?? `http://${address}`,
    screenshot: "only-on-failure",
    // With a trace (--trace on) everything takes half as long again.
    trace: "off",
    contextOptions: { reducedMotion: "reduce" },
    launchOptions: {
      executablePath: process.env.CHROMIUM || installed.find(existsSync),
      args: [
        ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-quic",
      ],
    },
  },
  // What works with and without a script is tagged @either-way, what is only seen without one @without-script.
  projects: [
    { name: "desktop", grepInvert: /@phone|@without-script/, use: { viewport: { width: 1280, height: 800 } } },
    { name: "phone", grepInvert: /@desktop|@without-script/, use: devices["Pixel 7"] },
    { name: "without-script", grep: /@without-script|@either-way/, use: { javaScriptEnabled: false } },
  ],
  webServer: running
    ? undefined
    : {
        // What a developer has set for another server must not lead here.
        command: `exec env -u VESTRY_REGISTRY_URL -u VESTRY_SECRET_KEY '${binary}'`,
        // Every step of a run is there to be looked at: no database stands ready.
        env: { VESTRY_ADDR: address, VESTRY_DATA_DIR: process.env.VESTRY_TEST_DATA_DIR ?? "", VESTRY_READY_DATABASES: "0", RUST_LOG: "warn" },
        url: `http://${address}/readyz`,
        reuseExistingServer: false,
        timeout: 120_000,
        stdout: "pipe",
        gracefulShutdown: { signal: "SIGTERM", timeout: 20_000 },
      },
});
