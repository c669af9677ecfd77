/**
 * The packet mark of the connections by which the local runtime probes: it tells them from whatever else connects from a node. Setting
 * one takes a capability over the node's network namespace, which of its pods only the mesh's own have.
 */
export const probeMark = 0x7072_0b00;
