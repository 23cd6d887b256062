// Reads of one moment, for what is not watched: connect-query over the same transport.
//
//   const history = useQuery(MetricService.method.getVMMetricHistory, { vmId });

import { QueryClient } from '@tanstack/react-query';
import { toProblem } from './errors';

const WORTH_ANOTHER_TRY = new Set(['unavailable', 'deadline_exceeded', 'aborted']);

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 10_000,
      refetchOnWindowFocus: false,
      retry: (count, error) => count < 2 && WORTH_ANOTHER_TRY.has(toProblem(error).code),
    },
  },
});
