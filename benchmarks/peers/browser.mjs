// Launching Chromium with Playwright, with the flags that the fleet gives it and no others.

import { chromium } from "playwright-core";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * A browser, and how to end it with everything that is left of it.
 *
 * Playwright's own flags are left out, so that both sides measure the same browser; what it cannot do without is the
 * pipe it speaks over and a profile folder.
 */
export async function launch({ executable, args }) {
  const profile = await mkdtemp(join(tmpdir(), "tabfleet-peer-"));
  const browser = await chromium.launch({
    executablePath: executable,
    ignoreDefaultArgs: true,
    args: [...args, "--remote-debugging-pipe", `--user-data-dir=${profile}`],
  });
  return {
    newPage: () => browser.newPage(),
    async close() {
      await browser.close();
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
