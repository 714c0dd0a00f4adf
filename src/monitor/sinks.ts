import { appendFile } from 'node:fs/promises';
import type { AlertEvent } from './alerts.ts';
import { alertJson } from './report.ts';
import type { Language } from './texts.ts';

/** Where beginnings and ends of alerts go. A sink that fails must not stop the monitor: it says so, and what it owes stays owed. */
export interface Sink {
  readonly name: string;
  /** Rejects when the events were not taken. */
  send(events: readonly AlertEvent[]): Promise<void>;
}

/** A file with one JSON object a line. */
export function logSink(file: string, language: Language): Sink {
  return {
    name: file,
    send: (events) =>
      appendFile(file, events.map((event) => `${JSON.stringify(eventJson(event, language))}\n`).join('')),
  };
}

const webhookWaitMs = 10_000;

/** `POST {"events": […]}`; taken when it is answered by a status from 200 to 299. */
export function webhookSink(url: string, language: Language): Sink {
  return {
    name: url,
    async send(events) {
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ events: events.map((event) => eventJson(event, language)) }),
        signal: AbortSignal.timeout(webhookWaitMs),
      });
      await response.body?.cancel();
      if (!response.ok) throw new Error(`it answered ${response.status}`);
    },
  };
}

export function eventJson({ kind, alert, atMs }: AlertEvent, language: Language) {
  return { event: kind, at: new Date(atMs).toISOString(), ...alertJson(alert, language) };
}

const maxOwed = 1_000;

/** Keeps what a sink did not take, and offers it again together with what comes next: at most so many, the oldest are dropped. */
export class Delivery {
  readonly #sink: Sink;
  #owed: readonly AlertEvent[] = [];

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  /** Gives why the events were not taken, or null. */
  async offer(events: readonly AlertEvent[]): Promise<string | null> {
    const all = [...this.#owed, ...events].slice(-maxOwed);
    if (all.length === 0) return null;
    try {
      await this.#sink.send(all);
      this.#owed = [];
      return null;
    } catch (error) {
      this.#owed = all;
      return `${this.#sink.name}: ${error instanceof Error ? error.message : String(error)}`;
    }
  }
}
