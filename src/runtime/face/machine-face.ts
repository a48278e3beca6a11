/** A state machine of the user's own, as its users see it: a method for each command and query. */
import { decodeResult, encodeCall, type Machine } from "../../state/index.ts";
import { rejection } from "./call.ts";
import type { GroupClient } from "./group-client.ts";
import { checkCall, checkRead, type Call, type ReadCall } from "./options.ts";
import { writeBytes } from "./pending-command.ts";

/** What remains of a command's or query's parameters for its caller: the argument, if it takes one, and the options of the call. */
type CallParameters<Rest, Options> = Rest extends readonly []
  ? [argument?: undefined, options?: Options]
  : Rest extends readonly [infer Argument, ...unknown[]]
    ? undefined extends Argument
      ? [argument?: Argument, options?: Options]
      : [argument: Argument, options?: Options]
    : Rest extends readonly [(infer Argument)?, ...unknown[]]
      ? [argument?: Argument, options?: Options]
      : never;

type Method<F, Options> = F extends (state: never, ...rest: infer Rest) => infer Result
  ? (...parameters: CallParameters<Rest, Options>) => Promise<Result>
  : never;

/** Commands change the state, exactly once; queries read it, linearizably unless `at: "local"` is asked for. */
export type MachineFace<Commands, Queries> = {
  readonly [Name in keyof Commands]: Method<Commands[Name], Call>;
} & {
  readonly [Name in keyof Queries]: Method<Queries[Name], ReadCall>;
};

type AnyMethod = (argument?: unknown, options?: Call & ReadCall) => Promise<unknown>;

export function machineFace(
  client: GroupClient,
  machine: string,
  definition: Machine,
): Readonly<Record<string, AnyMethod>> {
  const methods: Record<string, AnyMethod> = {};
  for (const name of Object.keys(definition.commands)) {
    methods[name] = (argument, options) => {
      try {
        const bytes = encodeCall(definition, name, argument);
        return client.session.run(
          { machine, write: writeBytes(bytes), decode: decodeResult },
          checkCall(options),
        );
      } catch (error) {
        return rejection(error);
      }
    };
  }
  for (const name of Object.keys(definition.queries)) {
    methods[name] = (argument, options) => {
      try {
        const bytes = encodeCall(definition, name, argument);
        return client.questions.ask({ machine, bytes, decode: decodeResult }, checkRead(options));
      } catch (error) {
        return rejection(error);
      }
    };
  }
  return Object.freeze(methods);
}
