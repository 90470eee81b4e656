// The pages that are opened now and then. They are one file, which is loaded with the first of them.

export { Audit } from "./desk/audit.tsx";
export { Costs } from "./desk/costs.tsx";
export { Settings } from "./desk/settings.tsx";
export { Evaluations } from "./desk/evaluations.tsx";
