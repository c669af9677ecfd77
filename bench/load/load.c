/*
 * Load generator and echo server for the benchmarks: one thread, epoll, no allocation per message, so that it costs less than the
 * proxies it drives.
 *
 *   load echo PORT                                        echoes until killed
 *   load ping HOST PORT CONNECTIONS BYTES WARMUP SECONDS  round trips on busy connections
 *   load rate HOST PORT CONNECTIONS BYTES WARMUP SECONDS RATE
 *                                                         open loop: RATE round trips a second, over the connections in turn
 *   load open HOST PORT CONCURRENCY BYTES WARMUP SECONDS  connect, one round trip, close
 *   load bulk HOST PORT CONNECTIONS BYTES WARMUP SECONDS  downloads without end; a unit is a megabyte (BYTES is ignored)
 *
 * An open loop measures from when a message was due, not from when it could be sent: a proxy that stalls does not slow its own load.
 * It also knows when the machine itself stood still (see below), and prints "calm P99_US WINDOWS ALL_WINDOWS" before its end.
 *
 * Prints "listening", or "start", then "end UNITS FAILURES P50_US P99_US".
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define MAX_FD 65536
#define MAX_EVENTS 256
#define BUFFER 262144
#define BUCKETS 4096 /* of 10 us */

static char buffer[BUFFER];
static int ep;

static void die(const char *what) {
  perror(what);
  exit(1);
}

static uint64_t now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void no_delay(int fd) {
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void watch(int fd, uint32_t events) {
  struct epoll_event e = {.events = events, .data.fd = fd};
  if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) < 0) die("epoll_ctl");
}

static void rewatch(int fd, uint32_t events) {
  struct epoll_event e = {.events = events, .data.fd = fd};
  if (epoll_ctl(ep, EPOLL_CTL_MOD, fd, &e) < 0) die("epoll_ctl");
}

/* A connection whose first byte is this gets bytes without end instead of an echo. */
#define STREAM_REQUEST 'S'
static char streaming[MAX_FD];

static void stream_ready(int fd, uint32_t events) {
  if (events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)) {
    streaming[fd] = 0;
    close(fd);
    return;
  }
  while (send(fd, buffer, BUFFER, MSG_NOSIGNAL) == BUFFER) continue;
}

/* Bytes of an echo that the socket did not take. */
static char *rest[MAX_FD];
static size_t rest_length[MAX_FD];

static void echo_ready(int fd, uint32_t events) {
  if (streaming[fd]) {
    stream_ready(fd, events);
    return;
  }
  if ((events & EPOLLOUT) && rest_length[fd] > 0) {
    ssize_t sent = send(fd, rest[fd], rest_length[fd], MSG_NOSIGNAL);
    if (sent > 0) {
      memmove(rest[fd], rest[fd] + sent, rest_length[fd] - (size_t)sent);
      rest_length[fd] -= (size_t)sent;
    }
    if (rest_length[fd] == 0) rewatch(fd, EPOLLIN);
    return;
  }
  ssize_t n = recv(fd, buffer, BUFFER, 0);
  if (n <= 0) {
    if (n < 0 && errno == EAGAIN) return;
    rest_length[fd] = 0;
    close(fd);
    return;
  }
  if (buffer[0] == STREAM_REQUEST) {
    buffer[0] = 0;
    streaming[fd] = 1;
    rewatch(fd, EPOLLOUT | EPOLLRDHUP);
    return;
  }
  ssize_t sent = send(fd, buffer, (size_t)n, MSG_NOSIGNAL);
  if (sent < 0) sent = 0;
  if (sent < n) {
    if (!rest[fd]) rest[fd] = malloc(BUFFER);
    rest_length[fd] = (size_t)(n - sent);
    memcpy(rest[fd], buffer + sent, rest_length[fd]);
    rewatch(fd, EPOLLOUT);
  }
}

static void run_echo(int port) {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  if (bind(listener, (struct sockaddr *)&a, sizeof a) < 0) die("bind");
  if (listen(listener, 4096) < 0) die("listen");
  watch(listener, EPOLLIN);
  puts("listening");
  fflush(stdout);
  struct epoll_event events[MAX_EVENTS];
  for (;;) {
    int n = epoll_wait(ep, events, MAX_EVENTS, -1);
    for (int i = 0; i < n; i++) {
      if (events[i].data.fd != listener) {
        echo_ready(events[i].data.fd, events[i].events);
        continue;
      }
      int fd;
      while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        no_delay(fd);
        watch(fd, EPOLLIN);
      }
    }
  }
}

static struct sockaddr_in target;
static size_t message_bytes;
static size_t received[MAX_FD];
static uint64_t sent_at[MAX_FD];
static uint64_t units, failures;
static uint64_t histogram[BUCKETS];
static int measuring;

static int open_connection(void) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (fd < 0) die("socket");
  no_delay(fd);
  sent_at[fd] = now_us();
  received[fd] = 0;
  if (connect(fd, (struct sockaddr *)&target, sizeof target) < 0 && errno != EINPROGRESS) die("connect");
  watch(fd, EPOLLOUT);
  return fd;
}

static void send_message(int fd) {
  received[fd] = 0;
  if (send(fd, buffer, message_bytes, MSG_NOSIGNAL) != (ssize_t)message_bytes) failures++;
}

static void unit_done(int fd) {
  if (!measuring) return;
  units++;
  uint64_t bucket = (now_us() - sent_at[fd]) / 10;
  histogram[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
}

/* A download: every megabyte that came is a unit. */
static void bulk_ready(int fd, uint32_t events) {
  static uint64_t bytes;
  if (events & EPOLLOUT) {
    char request = STREAM_REQUEST;
    rewatch(fd, EPOLLIN);
    if (send(fd, &request, 1, MSG_NOSIGNAL) != 1) failures++;
    return;
  }
  ssize_t n = recv(fd, buffer, BUFFER, MSG_TRUNC);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) {
    failures++;
    close(fd);
    open_connection();
    return;
  }
  if (!measuring) return;
  bytes += (uint64_t)n;
  units = bytes / 1000000;
}

/* One event of a client connection; `reopen`: a unit is a whole connection. */
static void client_ready(int fd, uint32_t events, int reopen) {
  if (events & EPOLLOUT) {
    rewatch(fd, EPOLLIN);
    if (!reopen) sent_at[fd] = now_us();
    send_message(fd);
    return;
  }
  ssize_t n = recv(fd, buffer, BUFFER, 0);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) {
    if (measuring) failures++;
    close(fd);
    open_connection();
    return;
  }
  received[fd] += (size_t)n;
  if (received[fd] < message_bytes) return;
  unit_done(fd);
  if (reopen) {
    close(fd);
    open_connection();
  } else {
    sent_at[fd] = now_us();
    send_message(fd);
  }
}

static uint64_t percentile_of(const uint64_t *counts, uint64_t total, double share) {
  uint64_t wanted = (uint64_t)(share * (double)total), seen = 0;
  for (int i = 0; i < BUCKETS; i++) {
    seen += counts[i];
    if (seen > wanted) return (uint64_t)i * 10;
  }
  return (BUCKETS - 1) * 10;
}

static uint64_t percentile(double share) { return percentile_of(histogram, units, share); }

static void print_end(void) {
  printf("end %llu %llu %llu %llu\n", (unsigned long long)units, (unsigned long long)failures,
         (unsigned long long)percentile(0.5), (unsigned long long)percentile(0.99));
  fflush(stdout);
}

/*
 * A stall of the machine is no latency of a proxy: a virtual machine loses a core to the host, and a kernel without preemption lets its
 * own threads (those of memory management above all) keep one for milliseconds. On every core a witness sleeps, and notes when it was
 * woken late. It asks for the shortest slice, so that it waits for no process that runs in user space, a proxy least of all. A window in
 * which a witness was late, and the next, in which what had gathered drains, are not calm.
 */
#define WINDOW_US 50000
#define MAX_WINDOWS 4096
#define WITNESS_PERIOD_US 500
#define STALL_US 500
#define SHORTEST_SLICE_NS 100000
static uint32_t window_histogram[MAX_WINDOWS][BUCKETS];
static uint8_t stalled[MAX_WINDOWS + 1];
static uint64_t windows_start, witnesses;

static void *witness(void *core) {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET((int)(intptr_t)core, &cores);
  struct {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t slice_ns, deadline, period;
  } attributes = {.size = sizeof attributes, .policy = SCHED_OTHER, .slice_ns = SHORTEST_SLICE_NS};
  if (sched_setaffinity(0, sizeof cores, &cores) < 0 || syscall(SYS_sched_setattr, 0, &attributes, 0) < 0) return NULL;
  __atomic_add_fetch(&witnesses, 1, __ATOMIC_RELAXED);
  for (uint64_t due = now_us() + WITNESS_PERIOD_US;; due += WITNESS_PERIOD_US) {
    struct timespec at = {.tv_sec = (time_t)(due / 1000000), .tv_nsec = (long)(due % 1000000) * 1000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
    uint64_t now = now_us();
    if (now - due < STALL_US) continue;
    if (now >= windows_start) {
      uint64_t first = due > windows_start ? (due - windows_start) / WINDOW_US : 0;
      for (uint64_t i = first; i <= (now - windows_start) / WINDOW_US + 1 && i <= MAX_WINDOWS; i++) stalled[i] = 1;
    }
    due = now;
  }
}

static int start_witnesses(void) {
  int cores = (int)sysconf(_SC_NPROCESSORS_ONLN);
  for (int i = 0; i < cores; i++) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, witness, (void *)(intptr_t)i) != 0) die("pthread_create");
  }
  return cores;
}

static void print_calm(int cores, uint64_t end) {
  static uint64_t counts[BUCKETS];
  uint64_t total = 0, calm = 0, windows = (end - windows_start) / WINDOW_US;
  if (windows > MAX_WINDOWS) windows = MAX_WINDOWS;
  if (witnesses < (uint64_t)cores) return;
  for (uint64_t i = 0; i < windows; i++) {
    if (stalled[i]) continue;
    calm++;
    for (int k = 0; k < BUCKETS; k++) {
      counts[k] += window_histogram[i][k];
      total += window_histogram[i][k];
    }
  }
  printf("calm %llu %llu %llu\n", (unsigned long long)percentile_of(counts, total, 0.99), (unsigned long long)calm,
         (unsigned long long)windows);
}

/* Open loop: when the messages of a connection that are under way were due. */
#define MAX_UNDER_WAY 4096
static uint64_t *due_times[MAX_FD];
static uint32_t due_head[MAX_FD], due_tail[MAX_FD];

static void rate_ready(int fd, uint32_t events) {
  if (events & EPOLLOUT) {
    rewatch(fd, EPOLLIN);
    due_times[fd] = malloc(MAX_UNDER_WAY * sizeof(uint64_t));
    return;
  }
  ssize_t n = recv(fd, buffer, BUFFER, 0);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) die("connection lost");
  received[fd] += (size_t)n;
  for (; received[fd] >= message_bytes; received[fd] -= message_bytes) {
    sent_at[fd] = due_times[fd][due_tail[fd]++ % MAX_UNDER_WAY];
    unit_done(fd);
    if (sent_at[fd] < windows_start) continue;
    uint64_t window = (sent_at[fd] - windows_start) / WINDOW_US, bucket = (now_us() - sent_at[fd]) / 10;
    if (window < MAX_WINDOWS) window_histogram[window][bucket < BUCKETS ? bucket : BUCKETS - 1]++;
  }
}

static void run_rate(int connections, double warmup, double seconds, double rate) {
  int *fds = malloc((size_t)connections * sizeof(int));
  for (int i = 0; i < connections; i++) fds[i] = open_connection();
  struct epoll_event events[MAX_EVENTS];
  uint64_t opened = now_us() + 300000, start = opened + (uint64_t)(warmup * 1e6);
  uint64_t end = start + (uint64_t)(seconds * 1e6), sent = 0;
  windows_start = start;
  /* A timer that repeats by itself: one that every wait sets anew is dear in a virtual machine. */
  uint64_t ticks;
  struct timespec period = {.tv_sec = (time_t)(1 / rate), .tv_nsec = (long)(1e9 / rate) % 1000000000};
  struct itimerspec every = {.it_interval = period, .it_value = period};
  int pace = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  if (pace < 0 || timerfd_settime(pace, 0, &every, NULL) < 0) die("timerfd");
  watch(pace, EPOLLIN);
  int cores = start_witnesses();
  for (;;) {
    uint64_t now = now_us(), due = opened + (uint64_t)((double)sent * 1e6 / rate);
    for (; due <= now; due = opened + (uint64_t)((double)++sent * 1e6 / rate)) {
      int fd = fds[sent % (uint64_t)connections];
      if (!due_times[fd] || due_head[fd] - due_tail[fd] >= MAX_UNDER_WAY ||
          send(fd, buffer, message_bytes, MSG_NOSIGNAL) != (ssize_t)message_bytes) {
        if (measuring) failures++;
        continue;
      }
      due_times[fd][due_head[fd]++ % MAX_UNDER_WAY] = due;
    }
    int n = epoll_wait(ep, events, MAX_EVENTS, -1);
    for (int i = 0; i < n; i++) {
      if (events[i].data.fd == pace) (void)!read(pace, &ticks, sizeof ticks);
      else rate_ready(events[i].data.fd, events[i].events);
    }
    now = now_us();
    if (!measuring && now >= start) {
      measuring = 1;
      puts("start");
      fflush(stdout);
    }
    if (now >= end) break;
  }
  print_calm(cores, end);
  print_end();
}

static void run_clients(int connections, const char *mode, double warmup, double seconds) {
  int reopen = !strcmp(mode, "open"), bulk = !strcmp(mode, "bulk");
  for (int i = 0; i < connections; i++) open_connection();
  uint64_t start = now_us() + (uint64_t)(warmup * 1e6);
  uint64_t end = start + (uint64_t)(seconds * 1e6);
  struct epoll_event events[MAX_EVENTS];
  for (;;) {
    int n = epoll_wait(ep, events, MAX_EVENTS, 10);
    for (int i = 0; i < n; i++) {
      if (bulk) bulk_ready(events[i].data.fd, events[i].events);
      else client_ready(events[i].data.fd, events[i].events, reopen);
    }
    uint64_t now = now_us();
    if (!measuring && now >= start) {
      measuring = 1;
      puts("start");
      fflush(stdout);
    }
    if (now >= end) break;
  }
  print_end();
}

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max < MAX_FD ? files.rlim_max : MAX_FD;
  setrlimit(RLIMIT_NOFILE, &files);
  ep = epoll_create1(0);
  if (argc == 3 && !strcmp(argv[1], "echo")) run_echo(atoi(argv[2]));
  int rate = argc == 9 && !strcmp(argv[1], "rate");
  if (rate || (argc == 8 && (!strcmp(argv[1], "ping") || !strcmp(argv[1], "open") || !strcmp(argv[1], "bulk")))) {
    target.sin_family = AF_INET;
    target.sin_port = htons((uint16_t)atoi(argv[3]));
    if (inet_pton(AF_INET, argv[2], &target.sin_addr) != 1) die("address");
    message_bytes = (size_t)atoi(argv[5]);
    if (message_bytes < 1 || message_bytes > 16384) die("bytes");
    if (rate) run_rate(atoi(argv[4]), atof(argv[6]), atof(argv[7]), atof(argv[8]));
    else run_clients(atoi(argv[4]), argv[1], atof(argv[6]), atof(argv[7]));
    return 0;
  }
  fprintf(stderr, "usage: load echo PORT | load ping|open|bulk HOST PORT CONNECTIONS BYTES WARMUP SECONDS | "
                  "load rate HOST PORT CONNECTIONS BYTES WARMUP SECONDS RATE\n");
  return 2;
}
