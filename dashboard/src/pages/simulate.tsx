// A file of its own, so that what is opened more often is loaded faster.

export { Simulate } from "./desk/simulate.tsx";
