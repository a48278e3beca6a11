/** A process that opens a data folder (or says why it can't) and keeps it until it is ended. */
import { DataFolder } from "../../src/runtime/data-folder.ts";

const [path = ""] = process.argv.slice(2);
try {
  await DataFolder.open(path);
  process.stdout.write("open\n");
  setInterval(() => {}, 60_000);
} catch (error) {
  process.stdout.write(`${(error as { code?: string }).code ?? String(error)}\n`);
}
