/* Loaded before the C library, it stands in for a disk that loses what was not synced.
 *
 * Below SHADOW_ROOT, fsync and fdatasync copy what is synced to SHADOW, by inode and time of birth: the content
 * of a file, or the entries of a directory. What is not there would be gone after a power failure, see
 * unsynced_disk.py. Each sync is noted in SHADOW/log, too.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int key(int at, const char *name, char *text, mode_t *mode) {
    struct statx found;
    int flags = AT_SYMLINK_NOFOLLOW | (*name ? 0 : AT_EMPTY_PATH);
    if (statx(at, name, flags, STATX_INO | STATX_BTIME | STATX_TYPE, &found)) return -1;
    sprintf(text, "%llu-%lld-%u", (unsigned long long)found.stx_ino, (long long)found.stx_btime.tv_sec,
            found.stx_btime.tv_nsec);
    *mode = found.stx_mode;
    return 0;
}

static void entries(int fd, const char *path, FILE *out) {
    fprintf(out, "%s\n", path);
    DIR *directory = opendir(path);
    struct dirent *entry;
    while (directory && (entry = readdir(directory))) {
        char inode[100], target[4096] = "";
        mode_t mode;
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        if (key(fd, entry->d_name, inode, &mode)) continue;
        if (S_ISLNK(mode)) {
            ssize_t size = readlinkat(fd, entry->d_name, target, sizeof target - 1);
            target[size > 0 ? size : 0] = 0;
        }
        char kind = S_ISDIR(mode) ? 'd' : S_ISLNK(mode) ? 'l' : S_ISREG(mode) ? 'f' : 'o';
        fprintf(out, "%c\t%s\t%s\t%s\n", kind, inode, entry->d_name, target);
    }
    if (directory) closedir(directory);
}

static void content(const char *path, FILE *out) {
    char part[1 << 16];
    ssize_t size;
    int in = open(path, O_RDONLY | O_CLOEXEC);
    while (in >= 0 && (size = read(in, part, sizeof part)) > 0) fwrite(part, 1, size, out);
    if (in >= 0) close(in);
}

static int sync_to_shadow(int fd) {
    const char *root = getenv("SHADOW_ROOT"), *shadow = getenv("SHADOW");
    char link[64], path[4096], inode[100], name[5000], part[5000];
    mode_t mode;
    if (!root || !shadow) return 0;
    sprintf(link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size < 0) return -1;
    path[size] = 0;
    if (strncmp(path, root, strlen(root)) || key(fd, "", inode, &mode)) return 0;
    snprintf(name, sizeof name, "%s/log", shadow);
    int log = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    flock(log, LOCK_EX); /* one after the other: what is copied last is newest */
    snprintf(name, sizeof name, "%s/%s", shadow, inode);
    snprintf(part, sizeof part, "%s.part", name);
    FILE *out = fopen(part, "we");
    if (S_ISDIR(mode)) entries(fd, path, out);
    else content(path, out);
    fclose(out);
    rename(part, name);
    dprintf(log, "%s\n", path);
    close(log);
    return 0;
}

int fsync(int fd) { return sync_to_shadow(fd); }
int fdatasync(int fd) { return sync_to_shadow(fd); }
