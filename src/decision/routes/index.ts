/** Which rule takes a request or a connection, and where that leads. Pure; also what `ambit explain` asks. */
export { compileRoutes, type CompiledRoutes, type PickedRule, type RouteStep } from './compile-routes.ts';
export { compileMatch, Subject as RouteSubject, type RequestTest, type RouteRequest } from './http-match.ts';
export { drawDestination, pickTcpRule, pickTlsRule, type ConnectionToRoute } from './destination.ts';
export { redirectLocation, rewritePath } from './rewrite.ts';
