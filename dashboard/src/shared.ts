// What app.js has for the other files of the dashboard: each of them is loaded when a page of it is opened, and takes
// all of this from app.js instead of having its own copy (see build.mjs). The first load so stays small.

export { Fragment, jsx, jsxs } from "preact/jsx-runtime";
export { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
export { batch, computed, effect, signal } from "@preact/signals";
export * from "./api.ts";
export * from "./frame.tsx";
export * from "./graph.tsx";
export * from "./keys.ts";
export * from "./live.ts";
export * from "./parts.tsx";
export * from "./query.ts";
export * from "./route.ts";
export * from "./state.ts";
export * from "./pages/inbox.tsx";
export * from "./windowed.tsx";
export * from "./words.ts";
