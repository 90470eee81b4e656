import { Value } from "../../parts.tsx";
export function Payload(props: { task: string; subtask: string; pick?: string; name: string }) {
  return <Value value={null} name={props.name} />;
}
