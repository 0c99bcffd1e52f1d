// Uses POSIX calls, because only these can sync a folder, create exclusively and not block.
#include "files/file_io.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "base/utf8.hpp"
#include "makemore/error.hpp"

namespace makemore {

namespace {

constexpr char kRead[] = "read";
constexpr char kWrite[] = "write";

// Bytes of one read or write: a bound of what a read allocates ahead; larger calls are not faster.
constexpr size_t kBytesPerCall = size_t{1} << 20;

[[noreturn]] void fail(const char* action, const std::string& path, const std::string& reason) {
  throw FileError(std::string("cannot ") + action + " '" + show_text(path) + "': " + reason);
}

[[noreturn]] void fail_with_errno(const char* action, const std::string& path) {
  fail(action, path, std::generic_category().message(errno));
}

// Refuses a zero byte, at which the system would silently cut the path.
void check_path(const char* action, const std::string& path) {
  if (path.find('\0') != std::string::npos) fail(action, path, "the path contains a zero byte");
}

// Repeats a system call that a signal interrupted.
template <typename Call>
auto retry(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

int open_to_read(const std::string& path) {
  check_path(kRead, path);
  // O_NONBLOCK: opening a named pipe must not wait for a writer.
  return retry([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); });
}

// Returns false, with errno set, when the system refuses, or writes nothing and gives no reason.
bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t wanted = std::min(bytes.size(), kBytesPerCall);
    const ssize_t written = retry([&] { return ::write(fd, bytes.data(), wanted); });
    if (written == 0) errno = EIO;
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

// The file to which a path leads through symbolic links; it need not exist yet.  (Renaming to the
// path itself would replace the link.)  Throws unless it is a regular file or there is none.
std::string target_of(const std::string& path) {
  struct stat aim;
  const bool exists = ::stat(path.c_str(), &aim) == 0;
  if (!exists && errno != ENOENT) fail_with_errno(kWrite, path);
  if (exists && S_ISDIR(aim.st_mode)) fail(kWrite, path, "it is a folder");
  if (exists && !S_ISREG(aim.st_mode)) fail(kWrite, path, "it is not a regular file");
  constexpr int kMostLinks = 40;  // as Linux has it
  std::filesystem::path target(path);
  struct stat status;
  for (int i = 0; ::lstat(target.c_str(), &status) == 0 && S_ISLNK(status.st_mode); ++i) {
    std::error_code error;
    const std::filesystem::path next = std::filesystem::read_symlink(target, error);
    if (error) fail(kWrite, path, error.message());
    if (i == kMostLinks) fail(kWrite, path, std::generic_category().message(ELOOP));
    target = target.parent_path() / next;  // this is `next` where `next` is absolute
  }
  // A link below /proc can lead to a file that has no name any more.  (A file that somebody has
  // removed meanwhile has none either, but no path leads to it.)
  if (exists && ::lstat(target.c_str(), &status) != 0 && ::stat(path.c_str(), &aim) == 0) {
    fail(kWrite, path, "it is a link to a file without a name");
  }
  return target.string();
}

// A new file in a folder, removed at the end of the scope unless it was renamed.  Its process holds
// a lock on it, so that a later cleaning can tell a file that a killed process left from one that
// is in use.
class TemporaryFile {
 public:
  explicit TemporaryFile(int folder) : folder_(folder), file_(create()) {}
  ~TemporaryFile() {
    if (file_exists_) ::unlinkat(folder_, name_.c_str(), 0);
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  // Returns false, with errno set, when any of it fails.  Without a mode, the umask decides.
  bool write_sync_rename(std::string_view bytes, const std::string& new_name,
                         std::optional<mode_t> mode) {
    if (!file_exists_) return false;
    // The mode is set before the first byte, so that nobody sees the new file who may not read the
    // old one.
    if (mode && retry([&] { return ::fchmod(file_.get(), *mode); }) != 0) return false;
    if (!write_all(file_.get(), bytes)) return false;
    // The file is closed before it is renamed, because closing can be the first to report that a
    // write failed; the duplicate holds the lock until then.
    const FileDescriptor lock(::fcntl(file_.get(), F_DUPFD_CLOEXEC, 0));
    if (!lock.is_open()) return false;
    if (retry([&] { return ::fsync(file_.get()); }) != 0 || file_.close() != 0) return false;
    if (::renameat(folder_, name_.c_str(), folder_, new_name.c_str()) != 0) return false;
    file_exists_ = false;
    return true;
  }

 private:
  int create() {
    static std::atomic<uint64_t> counter{0};
    while (true) {
      name_ = ".makemore-" + std::to_string(::getpid()) + "-" + std::to_string(counter++) + ".tmp";
      const int fd = retry([&] {
        return ::openat(folder_, name_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      });
      if (fd < 0 && errno == EEXIST) continue;  // a crashed process's, or another machine's
      if (fd < 0 || is_ours(fd)) {
        file_exists_ = fd >= 0;
        return fd;
      }
      ::close(fd);
    }
  }

  // Locks the new file.  Returns false where another process, which took it for one that was left,
  // is removing it or has removed it.
  static bool is_ours(int fd) {
    struct stat status;
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0)
      return errno != EWOULDBLOCK;  // true: there are no locks
    return ::fstat(fd, &status) != 0 || status.st_nlink > 0;
  }

  int folder_;
  std::string name_;
  bool file_exists_ = false;  // under its temporary name
  FileDescriptor file_;
};

}  // namespace

FileDescriptor::~FileDescriptor() { close(); }

int FileDescriptor::close() { return is_open() ? ::close(std::exchange(fd_, -1)) : 0; }

FileReader::FileReader(const std::string& path) : path_(path), file_(open_to_read(path)) {
  struct stat status;
  if (!file_.is_open() || ::fstat(file_.get(), &status) != 0) fail_with_errno(kRead, path);
  if (S_ISDIR(status.st_mode)) fail(kRead, path, "it is a folder");
  if (!S_ISREG(status.st_mode)) fail(kRead, path, "it is not a regular file");
}

void FileReader::extend(std::string& bytes, int64_t size) {
  const auto limit = static_cast<size_t>(size);
  while (bytes.size() < limit) {
    const size_t filled = bytes.size();
    bytes.resize(std::min(filled + kBytesPerCall, limit));
    const ssize_t count =
        retry([&] { return ::read(file_.get(), bytes.data() + filled, bytes.size() - filled); });
    if (count < 0) fail_with_errno(kRead, path_);
    bytes.resize(filled + static_cast<size_t>(count));
    if (count == 0) return;
  }
}

void write_file_atomically(const std::string& path, std::string_view bytes) {
  check_path(kWrite, path);
  if (!std::filesystem::path(path).has_filename()) {
    fail(kWrite, path, "the path does not end in the name of a file");
  }
  const std::filesystem::path target(target_of(path));
  const std::string file_name = target.filename().string();
  const std::string folder_name = target.has_parent_path() ? target.parent_path().string() : ".";
  // The folder is opened before anything is written, so that whatever is wrong with it comes up
  // now.
  const FileDescriptor folder(
      retry([&] { return ::open(folder_name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (!folder.is_open()) fail_with_errno(kWrite, path);

  struct stat status;
  std::optional<mode_t> mode;
  if (::fstatat(folder.get(), file_name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
    mode = status.st_mode & 0777;
  } else if (errno != ENOENT) {
    fail_with_errno(kWrite, path);
  }

  TemporaryFile temporary(folder.get());
  if (!temporary.write_sync_rename(bytes, file_name, mode)) fail_with_errno(kWrite, path);
  // EINVAL means that the file system cannot sync folders.
  if (retry([&] { return ::fsync(folder.get()); }) != 0 && errno != EINVAL) {
    fail(kWrite, path,
         "the file is in place, but may not survive a crash of the machine: " +
             std::generic_category().message(errno));
  }
}

}  // namespace makemore
