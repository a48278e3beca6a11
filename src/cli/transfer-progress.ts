/** Tells people how far something large has come, once it takes long enough for them to wonder. */
import type { CommandContext } from "./context.ts";
import { LiveRegion } from "./terminal/live-region.ts";
import { byteSize } from "./terminal/numbers.ts";

/** What is done before that needs no word. */
const silentMs = 2000;
const redrawMs = 200;
/** Without a terminal, a line so often. */
const lineMs = 5000;

export class TransferProgress {
  readonly #what: string;
  readonly #context: CommandContext;
  readonly #region: LiveRegion;
  readonly #isWanted: boolean;
  readonly #startedAtMs = performance.now();
  #toldAtMs = 0;

  /** On stderr, so that the result can be piped. */
  constructor(what: string, options: { readonly json?: boolean }, context: CommandContext) {
    this.#what = what;
    this.#context = context;
    this.#region = new LiveRegion(context.surfaces.err);
    this.#isWanted = options.json !== true;
  }

  show(bytes: number, total: number): void {
    const nowMs = performance.now();
    if (!this.#isWanted || nowMs - this.#startedAtMs < silentMs) return;
    if (nowMs - this.#toldAtMs < (this.#region.isLive ? redrawMs : lineMs)) return;
    this.#toldAtMs = nowMs;
    const share = total === 0 ? 100 : Math.floor((bytes / total) * 100);
    const line = `${this.#what}: ${byteSize(bytes)} of ${byteSize(total)}, ${share} %`;
    if (this.#region.isLive) this.#region.draw([line]);
    else this.#context.surfaces.err.line(line);
  }

  end(): void {
    this.#region.erase();
  }
}
