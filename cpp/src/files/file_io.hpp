// Reads whole files within a bound, and replaces them atomically.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace makemore {

// An open file that is closed at the end of its scope.
class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor();
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;

  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  int close();  // the result of ::close, which can be the first to report that a write failed

 private:
  int fd_;
};

// Reads a regular file from its beginning.  All errors are FileErrors naming the path and the
// reason.
class FileReader {
 public:
  explicit FileReader(const std::string& path);  // never waits for a pipe

  // Appends the file's next bytes until there are `size` bytes, or fewer where the file ends.
  // Memory grows with what is there to be read, not with `size`.
  void extend(std::string& bytes, int64_t size);

 private:
  std::string path_;
  FileDescriptor file_;
};

// Makes `path` hold `bytes`, durably: a reader, or the next start after a crash, finds either the
// old file or the whole new one.  The function writes a temporary file in the same folder, syncs
// it, renames it and syncs the folder.  The new file has the permissions of the old one.  A
// symbolic link stays, and the file to which it leads is replaced or made.  A path that is not a
// regular file is refused: a rename would replace a device or a pipe, for example /dev/null, by a
// file.  On failure the function throws FileError, removes the temporary file and leaves the old
// one as it was.
void write_file_atomically(const std::string& path, std::string_view bytes);

}  // namespace makemore
