/* copy FROM TO: what reading a file and writing its octets to another costs at least. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct stat stat;
    size_t have = 0, done = 0;
    ssize_t moved;
    char *octets;
    int from, to;

    if (argc != 3)
        return 64;
    from = open(argv[1], O_RDONLY);
    if (from < 0 || fstat(from, &stat) < 0)
        return 66;
    octets = malloc((size_t)stat.st_size + 1);
    if (octets == NULL)
        return 71;
    while ((moved = read(from, octets + have, (size_t)stat.st_size + 1 - have)) > 0)
        have += (size_t)moved;
    to = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (moved < 0 || to < 0)
        return 74;
    while (done < have) {
        moved = write(to, octets + done, have - done);
        if (moved <= 0)
            return 74;
        done += (size_t)moved;
    }
    return 0;
}
