// What a new VM takes of what is free.

import type { CreateOptions } from '@/gen/Quantixkvm/compute/v1/vm_service_pb';
import { bytes, mib } from '@/ui/format';
import type { Form } from './form';
import type { CreateInput } from './request';

export interface Cost {
  readonly what: string;
  readonly wanted: string;
  /** Against what: `of 8 threads`. */
  readonly against: string;
  readonly tooMuch: boolean;
}

const GIB = 1024 ** 3;

/** New volumes by the pool that they go to. */
function byPool(form: Form): Map<string, number> {
  const wanted = new Map<string, number>();
  for (const disk of form.disks) {
    if (disk.kind === 'file') continue;
    const pool = disk.pool === '' ? 'default' : disk.pool;
    wanted.set(pool, (wanted.get(pool) ?? 0) + (Number(disk.sizeGib) || 0) * GIB);
  }
  return wanted;
}

export function costs(form: Form, input: CreateInput, options: CreateOptions): Cost[] {
  const cores = input.spec?.cpu?.cores ?? 0;
  const memory = Number(input.spec?.memory?.sizeMib ?? 0n);
  const free = Number(options.memoryFreeMib);
  const disks = [...byPool(form)].map(([name, size]): Cost => {
    const pool = options.pools.find((one) => one.name === name);
    const known = pool !== undefined && pool.active;
    const room = Number(pool?.availableBytes ?? 0n);
    return {
      what: `Disk in ${name}`,
      wanted: bytes(size),
      against: known ? `of ${bytes(room)} free, taken as it is written` : 'in a pool that is made or started with it',
      tooMuch: known && size > room,
    };
  });
  return [
    { what: 'vCPUs', wanted: String(cores), against: `of ${options.hostThreads} threads`, tooMuch: cores > options.hostThreads },
    { what: 'Memory', wanted: mib(memory), against: `of ${mib(free)} not promised`, tooMuch: memory > free },
    ...disks,
  ];
}
