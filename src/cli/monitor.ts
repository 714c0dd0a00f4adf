import { setTimeout as sleep } from 'node:timers/promises';
import { PatientRunner } from '../monitor/patient-runner.ts';
import { reportJson, sorted } from '../monitor/report.ts';
import { reportText } from '../monitor/report-text.ts';
import { Delivery, logSink, webhookSink } from '../monitor/sinks.ts';
import type { Language } from '../monitor/texts.ts';
import { type Look, Watch } from '../monitor/watch.ts';
import { diskOf } from './disk.ts';
import { openHerdClient } from './herd-client.ts';
import { loadMonitorConfig, type MonitorConfig } from './monitor-config.ts';

export interface MonitorFlags {
  readonly data: string;
  readonly url?: string;
  /** Seconds. */
  readonly interval: number;
  readonly once?: true;
  readonly json?: true;
  readonly lang: Language;
  readonly config?: string;
  readonly log?: string;
  readonly webhook?: string;
}

export interface Outlet {
  print(line: string): void;
  warn(line: string): void;
}

/** The router itself lets a session wait 30 s for a connection. */
const answerWaitMs = 40_000;

/** Reports until `signal`, or once. Gives whether the last look found everything well: no critical alert. */
export async function monitor(flags: MonitorFlags, outlet: Outlet, signal: AbortSignal): Promise<boolean> {
  const config = await loadMonitorConfig(flags.config);
  const runner = new PatientRunner(() => openHerdClient(flags), answerWaitMs);
  const watch = new Watch(runner, config.rules, {
    slowMeanMs: config.rules.slowQueries.meanMs,
    statementPattern: config.statementPattern,
    // Another cluster's servers may be on other machines.
    diskOf: flags.url === undefined ? diskOf : null,
  });
  const deliveries = deliveriesOf(flags, config);
  try {
    for (;;) {
      const startMs = Date.now();
      const look = await watch.look(startMs);
      outlet.print(shown(look, flags));
      for (const delivery of deliveries) {
        const failure = await delivery.offer(look.events);
        if (failure !== null) outlet.warn(`alerts could not be delivered to ${failure}`);
      }
      if (flags.once || signal.aborted) return sorted(look.active).every(({ severity }) => severity !== 'critical');
      const restMs = Math.max(0, startMs + flags.interval * 1_000 - Date.now());
      await sleep(restMs, undefined, { signal }).catch(() => {});
      if (signal.aborted) return true;
    }
  } finally {
    runner.close();
  }
}

function shown({ observation, active }: Look, { json, once, lang }: MonitorFlags): string {
  const report = reportJson(observation, active, lang);
  if (!json) return `${reportText(report, lang)}\n`;
  return once ? JSON.stringify(report, null, 2) : JSON.stringify(report);
}

function deliveriesOf(flags: MonitorFlags, config: MonitorConfig): Delivery[] {
  const log = flags.log ?? config.log;
  const webhook = flags.webhook ?? config.webhook;
  return [
    ...(log === null ? [] : [new Delivery(logSink(log, flags.lang))]),
    ...(webhook === null ? [] : [new Delivery(webhookSink(webhook, flags.lang))]),
  ];
}
