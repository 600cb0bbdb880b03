/* Watching a file: associated again after each event with the times that are known, until it is deleted. */
#include <fcntl.h>
#include <sys/stat.h>

#include "check_port.h"

static struct file_obj object;
static int port;

static void watch(const char *path)
{
	struct stat now;

	CHECK(stat(path, &now) == 0);
	object.fo_atime = now.st_atim;
	object.fo_mtime = now.st_mtim;
	object.fo_ctime = now.st_ctim;
	object.fo_name = (char *)path;
	CHECK(port_associate(port, PORT_SOURCE_FILE, (uintptr_t)&object, FILE_MODIFIED | FILE_ATTRIB, &object) == 0);
}

static int told(void)
{
	port_event_t event = one(port);

	CHECK(event.portev_source == PORT_SOURCE_FILE && event.portev_object == (uintptr_t)&object);
	CHECK(event.portev_user == &object);
	return event.portev_events;
}

int main(void)
{
	char directory[] = "/tmp/port-files-XXXXXX", path[64];
	int fd;

	CHECK(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/file", directory);
	CHECK((fd = open(path, O_CREAT | O_WRONLY, 0600)) >= 0);
	CHECK((port = port_create()) >= 0);
	watch(path);
	CHECK(write(fd, "hello", 5) == 5);
	CHECK(told() == (FILE_MODIFIED | FILE_ATTRIB));
	watch(path);
	CHECK(chmod(path, 0640) == 0);
	CHECK(told() == FILE_ATTRIB);
	watch(path);
	CHECK(unlink(path) == 0);
	CHECK(told() & FILE_EXCEPTION);
	CHECK(port_dissociate(port, PORT_SOURCE_FILE, (uintptr_t)&object) == -1 && errno == ENOENT);
	CHECK(rmdir(directory) == 0);
	close(fd);
	close(port);
	return 0;
}
