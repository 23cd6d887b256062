// The one way to the server: Connect over this page's own origin, as JSON, so that what the
// browser's tools show is what curl would send.

import { createConnectTransport } from '@connectrpc/connect-web';

export const transport = createConnectTransport({ baseUrl: globalThis.location?.origin ?? 'http://localhost' });
