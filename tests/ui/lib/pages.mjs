// Every route of the page with an address to see it at. The routes are read from the page's own map,
// so that one that is added there is demanded here.

import { readFileSync } from "node:fs";

const MAP = new URL("../../../web/src/routes.tsx", import.meta.url);

/** The modules that routes draw, as the map names them. */
export function routedModules() {
  const found = [...readFileSync(MAP, "utf8").matchAll(/import\('\.\/([^']+)'\)/g)].map((match) => match[1]);
  if (found.length < 10) throw new Error("the map of routes is not read as it is written now");
  return found;
}

/** The demo's VM that runs, and the one that does not. */
export const RUNNING = "web-server-01";
export const STOPPED = "dev-workstation";

const heading = (name) => (page) => page.getByRole("heading", { level: 1, name });
const tab = (name) => (page) => page.getByRole("link", { name, exact: true }).and(page.locator(".active"));

const noConsole = (page) => page.getByText("No console here");

/** The demo has no consoles and no screens: the server says so, and the browser notes that it did. */
export const NO_CONSOLES = /status of 501/;

/** Module, name of its screenshots, address, and what is to be seen there. */
export const PAGES = [
  ["features/overview/OverviewPage", "overview", () => "/", heading(/./)],
  ["features/vms/list/VmsPage", "vms", () => "/vms", (page) => page.getByText(RUNNING).first()],
  ["features/vms/create/CreateVmPage", "vm-new", () => "/vms/new", heading(/./)],
  ["features/vms/detail/VmPage", "vm-stopped", (id) => `/vms/${id.stopped}`, heading(STOPPED)],
  ["features/vms/detail/OverviewTab", "vm", (id) => `/vms/${id.running}`, heading(RUNNING)],
  ["features/vms/detail/ConsoleTab", "vm-console", (id) => `/vms/${id.running}/console`, noConsole],
  ["features/vms/detail/DevicesTab", "vm-devices", (id) => `/vms/${id.running}/devices`, tab("Devices")],
  ["features/vms/detail/MetricsTab", "vm-metrics", (id) => `/vms/${id.running}/metrics`, tab("Metrics")],
  ["features/vms/detail/EventsTab", "vm-events", (id) => `/vms/${id.running}/events`, tab("Events")],
  ["features/vms/detail/DefinitionTab", "vm-definition", (id) => `/vms/${id.running}/definition`, tab("Definition")],
  ["console/ConsolePage", "console", (id) => `/vms/${id.running}/console/vnc`, noConsole],
  ["features/nodes/NodesPage", "nodes", () => "/nodes", (page) => page.getByText("hypervisor-02").first()],
  ["features/nodes/NodePage", "node", (id) => `/nodes/${id.node}`, heading(/hypervisor-01/)],
  ["features/events/EventsPage", "events", () => "/events", heading("Events")],
  ["features/operations/OperationsPage", "operations", () => "/operations", heading("Operations")],
  ["features/access/AccessPage", "access", () => "/access/users", heading("Users")],
  ["features/access/UsersTab", "users", () => "/access/users", (page) => page.getByText("No users yet")],
  ["features/access/TokensTab", "tokens", () => "/access/tokens", (page) => page.getByText("No API tokens")],
  ["features/access/SessionsTab", "sessions", () => "/access/sessions", (page) => page.getByText("No sessions")],
  ["features/access/AuditTab", "audit", () => "/access/audit", heading("Audit log")],
  ["app/NotFoundPage", "not-found", () => "/nowhere", (page) => page.getByRole("heading", { name: "There is no such page" })],
].map(([module, name, address, shows]) => ({ module, name, address, shows }));

/** The ids that the addresses need. */
export async function idsOf(server) {
  const { nodes } = await server.ask("NodeService/ListNodes");
  return {
    running: (await server.vm(RUNNING)).id,
    stopped: (await server.vm(STOPPED)).id,
    node: nodes.find((node) => node.hostname === "hypervisor-01").id,
  };
}
