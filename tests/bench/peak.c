/* peak FILE COMMAND...: runs it and writes to FILE the most memory that it held at once, in KiB, and the time that it
   had of all cores, in microseconds. A small process has to do this, since a child is charged with what its parent held
   when it was made. */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct rusage usage;
    pid_t child;
    FILE *file;
    int status;

    if (argc < 3)
        return 64;
    child = fork();
    if (child == 0) {
        execvp(argv[2], argv + 2);
        _exit(127);
    }
    if (child < 0 || wait4(child, &status, 0, &usage) < 0)
        return 71;
    file = fopen(argv[1], "w");
    if (file == NULL)
        return 73;
    fprintf(file, "%ld %ld\n", usage.ru_maxrss,
            (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000L + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    if (fclose(file) != 0)
        return 74;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 70;
}
