import type { RowRandom } from './random.ts';

/** `#` and nine digits: `Supplier#000000001`. */
export function numbered(name: string, key: number): string {
  return `${name}#${String(key).padStart(9, '0')}`;
}

/** Of whole cents. */
export function money(cents: number): string {
  const sign = cents < 0 ? '-' : '';
  const whole = Math.abs(cents);
  const rest = whole % 100;
  return `${sign}${(whole - rest) / 100}.${rest < 10 ? '0' : ''}${rest}`;
}

/** The country's code is the nation's key and ten (4.2.2.9). */
export function phone(random: RowRandom, nation: number): string {
  return `${nation + 10}-${random.int(100, 999)}-${random.int(100, 999)}-${random.int(1000, 9999)}`;
}

/** 4.2.2.7: 10 to 40 characters of 64. */
export function address(random: RowRandom): string {
  let text = '';
  for (let left = random.int(10, 40); left > 0; left--) text += addressChars[random.int(0, addressChars.length - 1)];
  return text;
}

const addressChars = '0123456789abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ,';

const dayMs = 86_400_000;

/** Days since 1970. */
export type Day = number;

export const firstDay = day('1992-01-01');
export const lastDay = day('1998-12-31');
/** What has arrived by this day may have been returned; what has not been shipped by it is open (4.2.2.12). */
export const currentDay = day('1995-06-17');

function day(date: string): Day {
  return Date.parse(`${date}T00:00:00Z`) / dayMs;
}

/** From `firstDay` to past `lastDay`, written once. */
const writtenDays = Array.from({ length: lastDay - firstDay + 1 }, (_, index) =>
  new Date((firstDay + index) * dayMs).toISOString().slice(0, 10),
);

export function date(day: Day): string {
  return writtenDays[day - firstDay]!;
}
