// Facts as people read them: units once, exact moments on request.

import type { Timestamp } from '@bufbuild/protobuf/wkt';

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** `7.2 GiB`: at most three figures. */
export function bytes(value: bigint | number): string {
  let number = Number(value);
  let unit = 0;
  while (number >= 1000 && unit < UNITS.length - 1) {
    number /= 1024;
    unit += 1;
  }
  const text = unit === 0 || number >= 100 ? Math.round(number).toString() : number.toFixed(1).replace(/\.0$/, '');
  return `${text} ${UNITS[unit]}`;
}

/** Figure alone, in GiB: for columns whose head names the unit. */
export function gib(value: bigint | number): string {
  const number = Number(value) / 1024 ** 3;
  return number >= 100 ? Math.round(number).toString() : number.toFixed(1).replace(/\.0$/, '');
}

export function mib(value: bigint | number): string {
  return bytes(Number(value) * 1024 ** 2);
}

/** `10,000`. */
export function count(value: number): string {
  return value.toLocaleString('en-US');
}

export function rate(bytesPerSecond: number): string {
  return `${bytes(Math.max(0, bytesPerSecond))}/s`;
}

export function percent(value: number): string {
  return `${value < 10 && value > 0 ? value.toFixed(1) : Math.round(value)} %`;
}

export function toMillis(at: Timestamp | undefined): number | undefined {
  return at === undefined ? undefined : Number(at.seconds) * 1000 + Math.floor(at.nanos / 1e6);
}

const STEPS = [
  [60, 's'],
  [60, 'min'],
  [24, 'h'],
  [365, 'd'],
] as const;

/** `12 s`, `3 d`: one figure, one unit. */
export function duration(millis: number): string {
  let value = Math.max(0, Math.round(millis / 1000));
  for (const [size, unit] of STEPS) {
    if (value < size) return `${value} ${unit}`;
    value = Math.floor(value / size);
  }
  return `${value} y`;
}

/** `3 d ago`, `in 48 s`, `now`. */
export function relative(at: number, now: number): string {
  const away = at - now;
  if (Math.abs(away) < 1000) return 'now';
  return away < 0 ? `${duration(-away)} ago` : `in ${duration(away)}`;
}

/** `2026-03-01 14:05:09 UTC+1`: in the reader's own zone. */
export function exact(at: number): string {
  const date = new Date(at);
  const two = (value: number): string => value.toString().padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  const offset = -date.getTimezoneOffset();
  const hours = Math.trunc(Math.abs(offset) / 60);
  const minutes = Math.abs(offset) % 60;
  const zone = offset === 0 ? 'UTC' : `UTC${offset < 0 ? '-' : '+'}${hours}${minutes === 0 ? '' : `:${two(minutes)}`}`;
  return `${day} ${time} ${zone}`;
}

/** What a server says in half a sentence, as a whole one. */
export function sentence(text: string): string {
  const whole = `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
  return /[.!?]$/.test(whole) || whole === '' ? whole : `${whole}.`;
}
