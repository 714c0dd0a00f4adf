import { bytesText, durationText, shortText } from './figures.ts';

/* Details of alerts as their texts have them. */

export const size = (value: string | number | undefined) => bytesText(Number(value ?? 0));
export const time = (value: string | number | undefined) => durationText(Number(value ?? 0));
export const short = (value: string | number | undefined) => shortText(String(value ?? ''), 80);
export const percent = (part: string | number | undefined, whole: string | number | undefined) =>
  `${Math.round((Number(part ?? 0) / Number(whole ?? 1)) * 100)} %`;
