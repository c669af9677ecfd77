/** gRPC's status codes as the HTTP statuses that mean the same. */

const httpStatuses: Readonly<Record<string, number>> = {
  '0': 200,
  '1': 499,
  '2': 500,
  '3': 400,
  '4': 504,
  '5': 404,
  '6': 409,
  '7': 403,
  '8': 429,
  '9': 400,
  '10': 409,
  '11': 400,
  '12': 501,
  '13': 500,
  '14': 503,
  '15': 500,
  '16': 401,
};

/** A call without a status, or with an unknown one, failed. */
export function grpcHttpStatus(grpcStatus: string | undefined): number {
  return httpStatuses[grpcStatus ?? ''] ?? 500;
}
