import { type Observation, seen } from './observation.ts';

/** By server: how long it took to answer, the newest last. Milliseconds. */
export type AnswerTimes = ReadonlyMap<string, readonly number[]>;

const maxAnswers = 9;

/** One look says little of a server that is slow now and then: each shows the median of its last answers. Pure. */
export function withMedians(
  observation: Observation,
  before: AnswerTimes,
): { readonly observation: Observation; readonly times: AnswerTimes } {
  if (observation.servers.kind === 'unseen') return { observation, times: before };
  const times = new Map(before);
  const servers = observation.servers.value.map((server) => {
    if (server.answerMs === null) return server;
    const answers = [...(before.get(server.name) ?? []), server.answerMs].slice(-maxAnswers);
    times.set(server.name, answers);
    return { ...server, answerMs: median(answers) };
  });
  return { observation: { ...observation, servers: seen(servers) }, times };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)]!;
}
