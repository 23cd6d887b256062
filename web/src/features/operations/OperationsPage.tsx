import type { ReactElement } from 'react';
import { useOperations } from '@/api/hooks';
import { Page } from '@/app/Page';

export default function OperationsPage(): ReactElement {
  const operations = useOperations();
  return (
    <Page title="Operations">
      <ul>
        {operations.map((operation) => (
          <li key={operation.id}>
            {operation.verb} {operation.step}
          </li>
        ))}
      </ul>
    </Page>
  );
}
