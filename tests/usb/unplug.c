/* Lets Debian's adbd survive an unplug: it polls pthread_kill(worker, 0) for ESRCH, which bionic returns for an ended
 * thread; glibc from 2.34 on returns 0 for one that is not joined, so adbd would spin for ever. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>

int pthread_kill(pthread_t thread, int signal) {
    static int (*real)(pthread_t, int);
    if (signal == 0) return ESRCH;
    if (!real) real = (int (*)(pthread_t, int))dlsym(RTLD_NEXT, "pthread_kill");
    return real(thread, signal);
}
