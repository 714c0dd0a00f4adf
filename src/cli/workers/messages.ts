import type { RouterReadings } from '../../monitor/router-readings.ts';
import type { PeerAnswers, PeerQuestion } from '../../session/peers.ts';
import type { RouterOptions } from '../serve.ts';

/** What a worker is started with: all that is not a function. */
export interface WorkerStart {
  readonly slot: number;
  readonly options: Omit<RouterOptions, 'log' | 'http'>;
  readonly port: number;
  /** The first one tells the coordinator where functions come back, and adds new nodes. */
  readonly isFirst: boolean;
}

export type AnyAnswer = PeerAnswers[keyof PeerAnswers];

export type ToWorker =
  | ({ readonly kind: 'start' } & WorkerStart)
  /** With it comes the socket. */
  | { readonly kind: 'client' }
  | { readonly kind: 'asked'; readonly id: number; readonly question: PeerQuestion }
  | { readonly kind: 'answers'; readonly id: number; readonly answers: readonly AnyAnswer[] }
  | CancelMessage
  | { readonly kind: 'stop' };

export type FromWorker =
  /** Clients may be sent. */
  | { readonly kind: 'accepting' }
  /** All that belongs to a start is done. */
  | { readonly kind: 'ready' }
  | { readonly kind: 'failed'; readonly message: string; readonly code: string; readonly hint: string }
  | {
      readonly kind: 'log';
      readonly level: 'debug' | 'info' | 'warn' | 'error';
      readonly fields: object;
      readonly message: string;
    }
  | { readonly kind: 'readings'; readonly readings: RouterReadings }
  | { readonly kind: 'ask'; readonly id: number; readonly question: PeerQuestion }
  /** null: it could not be answered. */
  | { readonly kind: 'answer'; readonly id: number; readonly answer: { readonly value: AnyAnswer } | null }
  | CancelMessage;

interface CancelMessage {
  readonly kind: 'cancel';
  readonly slot: number;
  readonly processId: number;
  readonly secret: Uint8Array;
}
