// What the pages share that are opened now and then: audit, costs, evaluations, settings, simulate.

export * from "../pages/desk/calls.ts";
export * from "../pages/desk/kit.tsx";
