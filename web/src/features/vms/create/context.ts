// What the parts of the page share.

import { createContext, useContext } from 'react';
import type { CreateOptions } from '@/gen/Quantixkvm/compute/v1/vm_service_pb';
import type { Change, Form } from './form';
import type { Notes } from './notes';

export interface Creation {
  readonly form: Form;
  readonly change: Change;
  readonly options: CreateOptions;
  readonly notes: Notes;
}

export const CreationContext = createContext<Creation | null>(null);

export function useCreation(): Creation {
  const creation = useContext(CreationContext);
  if (creation === null) throw new Error('a part of the page of a new VM was drawn outside of it');
  return creation;
}
