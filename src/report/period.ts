import { pgError } from '../core/errors.ts';

/** What the report is about. Days are whole and both included; points in time are both included too, as by BETWEEN. */
export interface Period {
  /** As given: `2024-05-01`, or `2024-05-01 12:00`. */
  readonly from: string;
  readonly to: string;
  /** Of SQL, with the parameters $1 and $2, to be compared with the column. */
  readonly lower: string;
  readonly upper: string;
  readonly upperOperator: '<' | '<=';
}

const day = /^\d{4}-\d\d-\d\d$/;
const moment = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d(:?\d\d)?)?$/;
const usualDays = 30;

/** Without `to`: up to `today`; without `from`: thirty days back from there. */
export function readPeriod(from: string | undefined, to: string | undefined, today: string): Period {
  const last = to ?? today;
  const first = from ?? addDays(checked(last, '--to').slice(0, 10), -usualDays);
  checked(first, '--from');
  checked(last, '--to');
  if (first.slice(0, 10) > last.slice(0, 10)) {
    throw pgError('invalidParameterValue', `the period ends (${last}) before it begins (${first})`);
  }
  const whole = day.test(last);
  return {
    ...{ from: first, to: last, lower: first, upper: whole ? addDays(last, 1) : last },
    upperOperator: whole ? '<' : '<=',
  };
}

function checked(text: string, flag: string): string {
  const date = text.slice(0, 10);
  if ((day.test(text) || moment.test(text)) && isDate(date)) return text;
  throw pgError('invalidParameterValue', `${flag} ${text} is no date`, {
    hint: 'Write 2024-05-31, or 2024-05-31T18:00 for a point in time.',
  });
}

function isDate(date: string): boolean {
  const parsed = new Date(`${date}T00:00:00Z`);
  return !Number.isNaN(parsed.getTime()) && parsed.toISOString().startsWith(date);
}

/** Of the calendar, whatever the time zone. */
export function addDays(date: string, days: number): string {
  const moved = new Date(`${date}T00:00:00Z`);
  moved.setUTCDate(moved.getUTCDate() + days);
  return moved.toISOString().slice(0, 10);
}
