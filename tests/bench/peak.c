/* peak COMMAND...: runs it and prints the most memory that it held at once, in KiB, and the time that it had of all
   cores, in microseconds. A small process has to do this, since a child is charged with what its parent held when it
   was made. */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct rusage usage;
    pid_t child;
    int status;

    if (argc < 2)
        return 64;
    child = fork();
    if (child == 0) {
        execv(argv[1], argv + 1);
        _exit(127);
    }
    if (child < 0 || wait4(child, &status, 0, &usage) < 0)
        return 71;
    printf("\n%ld %ld\n", usage.ru_maxrss,
           (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000L + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 70;
}
