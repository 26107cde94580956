// Copies the four font files that fonts.css names from the npm packages into public/fonts.
import { copyFileSync, mkdirSync } from "node:fs";

const here = new URL(".", import.meta.url);
const target = new URL("public/fonts/", here);

mkdirSync(target, { recursive: true });
for (const face of ["inter", "source-serif-4"]) {
  for (const subset of ["latin", "latin-ext"]) {
    const source = `node_modules/@fontsource-variable/${face}/files/${face}-${subset}-wght-normal.woff2`;
    copyFileSync(new URL(source, here), new URL(`${face}-${subset}.woff2`, target));
  }
}
