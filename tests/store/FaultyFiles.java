package faults;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Abortable;
import org.apache.hadoop.fs.CreateFlag;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FSDataOutputStreamBuilder;
import org.apache.hadoop.fs.FileAlreadyExistsException;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.ParentNotDirectoryException;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.PathIOException;
import org.apache.hadoop.fs.PathIsNotEmptyDirectoryException;
import org.apache.hadoop.fs.RawLocalFileSystem;
import org.apache.hadoop.fs.StreamCapabilities;
import org.apache.hadoop.fs.Syncable;
import org.apache.hadoop.fs.permission.FsPermission;
import org.apache.hadoop.util.Progressable;

/**
 * Folders of this machine that behave as HDFS or S3 do, up to an operation at which the writer dies.
 *
 * <p>The authority of a URI names the writer: in hdfs://monday/tmp/x it is "monday". All writers see the same files, and
 * each has operations, and a death, of its own. What changes something is an operation: to create, to sync and to close
 * a file, to make a folder, and to move or delete one entry. From the operation at which a writer dies on, none of its
 * operations succeeds; it can still read.
 */
public abstract class FaultyFiles extends RawLocalFileSystem {
  private static final String CONDITIONAL = "fs.option.create.conditional.overwrite";
  private static final String ABORTABLE = "fs.capability.outputstream.abortable";
  private static final Map<String, Writer> WRITERS = new ConcurrentHashMap<>();
  private static final Object WORLD = new Object(); // operations of all writers come one after the other

  private static final class Writer {
    int operations;
    int failsFrom = Integer.MAX_VALUE;
    int failsUntil = Integer.MAX_VALUE;
    boolean answerLost;
    boolean conditional;
    IOException refusal; // what operations fail with, if it is something else than a death
  }

  private interface Action {
    void run() throws IOException;
  }

  /** Let a writer die at an operation, counted from 1: before it is done, or after it, so that its answer is lost. */
  public static void die(String writer, int operation, boolean answerLost) {
    fail(writer, operation, Integer.MAX_VALUE, answerLost);
  }

  /** Let one operation fail, counted from 1, and those after it succeed. */
  public static void stumble(String writer, int operation, boolean answerLost) {
    fail(writer, operation, operation, answerLost);
  }

  /** Let all operations of a writer fail in its own way, as on a full disk. */
  public static void refuse(String writer, IOException refusal) {
    writer(writer).refusal = refusal;
    die(writer, 1, false);
  }

  /** Let S3 offer a writer what creates a file only where there is none; new S3 clients have it, old ones do not. */
  public static void offerConditionalWrites(String writer) {
    writer(writer).conditional = true;
  }

  /** Return how many operations a writer has begun. */
  public static int operations(String writer) {
    synchronized (WORLD) {
      return writer(writer).operations;
    }
  }

  private static void fail(String name, int from, int until, boolean answerLost) {
    synchronized (WORLD) {
      Writer writer = writer(name);
      writer.failsFrom = from;
      writer.failsUntil = until;
      writer.answerLost = answerLost;
    }
  }

  private static Writer writer(String name) {
    return WRITERS.computeIfAbsent(name, any -> new Writer());
  }

  private URI uri;
  private Writer writer;

  @Override
  public void initialize(URI name, Configuration configuration) throws IOException {
    uri = URI.create(name.getScheme() + "://" + name.getAuthority());
    writer = writer(name.getAuthority());
    super.initialize(name, configuration);
    setWorkingDirectory(new Path("/"));
  }

  @Override
  public URI getUri() {
    return uri == null ? super.getUri() : uri; // the superclass asks before there is one
  }

  @Override
  public String getScheme() {
    return uri.getScheme();
  }

  final boolean mayCreateIfAbsent() {
    return writer.conditional;
  }

  final void operation(Action action) throws IOException {
    synchronized (WORLD) {
      writer.operations++;
      boolean fails = writer.failsFrom <= writer.operations && writer.operations <= writer.failsUntil;
      if (!fails || (writer.answerLost && writer.operations == writer.failsFrom)) {
        action.run();
      }
      if (fails) {
        throw gone();
      }
    }
  }

  /** Fail if the writer is dead: for calls that would change nothing. */
  private void checkAlive() throws IOException {
    if (writer.operations >= writer.failsFrom && writer.failsUntil == Integer.MAX_VALUE) {
      throw gone();
    }
  }

  private IOException gone() {
    return writer.refusal != null ? writer.refusal : new IOException("the writer died at operation " + writer.failsFrom);
  }

  // Reading: never in the middle of an operation.

  @Override
  public FSDataInputStream open(Path path, int bufferSize) throws IOException {
    synchronized (WORLD) {
      return super.open(path, bufferSize);
    }
  }

  @Override
  public FileStatus[] listStatus(Path path) throws IOException {
    synchronized (WORLD) {
      FileStatus[] found = super.listStatus(path);
      Arrays.setAll(found, place -> plain(found[place]));
      return found;
    }
  }

  @Override
  public FileStatus getFileStatus(Path path) throws IOException {
    synchronized (WORLD) {
      return plain(super.getFileStatus(path));
    }
  }

  /** Return a status that does not ask the local file system, which knows no hdfs: or s3a:, for permissions. */
  private static FileStatus plain(FileStatus found) {
    long blockSize = found.getBlockSize();
    return new FileStatus(
        found.getLen(), found.isDirectory(), 1, blockSize, found.getModificationTime(), found.getPath());
  }

  // Writing.

  abstract FSDataOutputStream created(File file, boolean overwrite) throws IOException;

  abstract void move(File source, File target) throws IOException;

  @Override
  public FSDataOutputStream create(Path path, boolean overwrite, int b, short r, long s, Progressable p)
      throws IOException {
    File file = pathToFile(path);
    synchronized (WORLD) {
      if (file.isDirectory() || (file.exists() && !overwrite)) {
        checkAlive();
        throw new FileAlreadyExistsException(path + " already exists");
      }
      return created(file, overwrite);
    }
  }

  @Override
  public FSDataOutputStream create(
      Path path, FsPermission any, boolean overwrite, int b, short r, long s, Progressable p) throws IOException {
    return create(path, overwrite, b, r, s, p);
  }

  @Override
  public FSDataOutputStream createNonRecursive(
      Path path, FsPermission any, EnumSet<CreateFlag> flags, int b, short r, long s, Progressable p)
      throws IOException {
    return create(path, flags.contains(CreateFlag.OVERWRITE), b, r, s, p);
  }

  @Override
  public FSDataOutputStream append(Path path, int bufferSize, Progressable progress) {
    throw new UnsupportedOperationException("append");
  }

  @Override
  public boolean truncate(Path path, long length) {
    throw new UnsupportedOperationException("truncate");
  }

  @Override
  public void setPermission(Path path, FsPermission permission) {}

  @Override
  public boolean mkdirs(Path path) throws IOException {
    File folder = pathToFile(path);
    synchronized (WORLD) {
      if (folder.isDirectory()) {
        checkAlive();
      } else {
        operation(() -> makeFolder(folder));
      }
    }
    return true;
  }

  @Override
  public boolean mkdirs(Path path, FsPermission permission) throws IOException {
    return mkdirs(path);
  }

  /** Move an entry to a name that is free, or into a folder; false if it cannot be. */
  @Override
  public boolean rename(Path source, Path target) throws IOException {
    File from = pathToFile(source);
    File given = pathToFile(target);
    synchronized (WORLD) {
      File to = given.isDirectory() ? new File(given, from.getName()) : given;
      if (!from.exists() || to.exists() || !to.getParentFile().isDirectory()) {
        checkAlive();
        return false;
      }
      move(from, to);
    }
    return true;
  }

  @Override
  public boolean delete(Path path, boolean recursive) throws IOException {
    File file = pathToFile(path);
    if (!file.exists()) {
      checkAlive();
      return false;
    }
    if (!recursive && file.isDirectory() && file.list().length > 0) {
      throw new PathIsNotEmptyDirectoryException(path.toString());
    }
    deleteEntry(file);
    return true;
  }

  private void deleteEntry(File file) throws IOException {
    File[] entries = file.listFiles();
    for (File entry : entries == null ? new File[0] : entries) {
      deleteEntry(entry);
    }
    operation(() -> Files.deleteIfExists(file.toPath()));
  }

  static void makeFolder(File folder) throws IOException {
    if (!folder.isDirectory() && !folder.mkdirs()) {
      throw new ParentNotDirectoryException(folder + " cannot be a folder");
    }
  }

  /** Give a file its content; who has opened it before goes on reading what was there. */
  static void put(File file, byte[] content) throws IOException {
    makeFolder(file.getParentFile());
    Files.deleteIfExists(file.toPath());
    Files.write(file.toPath(), content);
  }

  /** HDFS: a file is there, and empty, once it is created; a folder is moved at once. */
  public static final class Hdfs extends FaultyFiles {
    @Override
    FSDataOutputStream created(File file, boolean overwrite) throws IOException {
      operation(() -> put(file, new byte[0]));
      return new FSDataOutputStream(new Stream(file), null);
    }

    @Override
    void move(File source, File target) throws IOException {
      operation(() -> Files.move(source.toPath(), target.toPath()));
    }

    private final class Stream extends ByteArrayOutputStream implements StreamCapabilities, Syncable {
      private final File file;
      private boolean closed;

      Stream(File file) {
        this.file = file;
      }

      @Override
      public boolean hasCapability(String capability) {
        return capability.equals("hsync") || capability.equals("hflush");
      }

      @Override
      public void hflush() throws IOException {
        hsync();
      }

      @Override
      public void hsync() throws IOException {
        operation(() -> put(file, toByteArray()));
      }

      @Override
      public void close() throws IOException {
        if (!closed) {
          closed = true;
          operation(() -> put(file, toByteArray()));
        }
      }
    }
  }

  /** S3: a file is there, with all of its content, once it is closed; to move is to copy and to delete each entry. */
  public static final class S3a extends FaultyFiles {
    @Override
    public boolean hasPathCapability(Path path, String capability) {
      return capability.equals(CONDITIONAL) && mayCreateIfAbsent();
    }

    @Override
    public FSDataOutputStreamBuilder<?, ?> createFile(Path path) {
      return new Builder(path);
    }

    @Override
    FSDataOutputStream created(File file, boolean overwrite) throws IOException {
      operation(() -> {});
      return new FSDataOutputStream(new Stream(file, false), null);
    }

    @Override
    void move(File source, File target) throws IOException {
      File[] entries = source.listFiles();
      if (entries == null) {
        operation(() -> put(target, Files.readAllBytes(source.toPath())));
      } else {
        operation(() -> makeFolder(target));
        for (File entry : entries) {
          move(entry, new File(target, entry.getName()));
        }
      }
      operation(() -> Files.delete(source.toPath()));
    }

    private final class Builder extends FSDataOutputStreamBuilder<FSDataOutputStream, Builder> {
      Builder(Path path) {
        super(S3a.this, path);
      }

      @Override
      public Builder getThisBuilder() {
        return this;
      }

      @Override
      public FSDataOutputStream build() throws IOException {
        rejectUnknownMandatoryKeys(mayCreateIfAbsent() ? Set.of(CONDITIONAL) : Set.of(), "");
        operation(() -> {});
        boolean ifAbsent = getOptions().getBoolean(CONDITIONAL, false);
        return new FSDataOutputStream(new Stream(pathToFile(getPath()), ifAbsent), null);
      }
    }

    private final class Stream extends ByteArrayOutputStream implements StreamCapabilities, Abortable {
      private final File file;
      private final boolean ifAbsent;
      private boolean closed;

      Stream(File file, boolean ifAbsent) {
        this.file = file;
        this.ifAbsent = ifAbsent;
      }

      @Override
      public boolean hasCapability(String capability) {
        return capability.equals(ABORTABLE);
      }

      @Override
      public AbortableResult abort() {
        closed = true;
        return null;
      }

      @Override
      public void close() throws IOException {
        if (!closed) {
          closed = true;
          operation(this::publish);
        }
      }

      private void publish() throws IOException {
        if (ifAbsent && file.exists()) {
          throw new PathIOException(file.getPath(), "PreconditionFailed (Service: S3, Status Code: 412)");
        }
        put(file, toByteArray());
      }
    }
  }
}
