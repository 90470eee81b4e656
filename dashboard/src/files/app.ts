// What app.js has for the files that are loaded later: they take all of this from it instead of having copies (see
// build.mjs). The other modules of this folder are files of that kind themselves: each is loaded with the first page
// that needs it.

export * from "../api.ts";
export * from "../chips.tsx";
export * from "../frame.tsx";
export * from "../keys.ts";
export * from "../live.ts";
export * from "../later.tsx";
export * from "../parts.tsx";
export * from "../plan.ts";
export * from "../ranks.ts";
export * from "../query.ts";
export * from "../route.ts";
export * from "../state.ts";
export * from "../pages/inbox.tsx";
export * from "../windowed.tsx";
export * from "../words.ts";
