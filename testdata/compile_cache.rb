require "digest"
require "fileutils"

# Keeps the bytecode of every Ruby file between boots, as bootsnap does in a new Rails app, so that a boot takes a third less.
# COMPILE_CACHE is the folder, of which each Ruby has its own part.
module CompileCache
  FOLDER = File.join(ENV.fetch("COMPILE_CACHE"), Digest::SHA256.hexdigest(RUBY_DESCRIPTION)[0, 16])
  FileUtils.mkdir_p FOLDER, mode: 0700

  def load_iseq(path)
    stat = File.stat(path)
    cached = File.join(FOLDER, Digest::SHA256.hexdigest("#{path} #{stat.size} #{stat.mtime.to_r}"))
    load_from_binary File.binread(cached)
  rescue Errno::ENOENT, RuntimeError # not there; written half
    compile_file(path).tap { |code| CompileCache.write(cached, code) } if cached
  end

  def self.write(file, code)
    partial = "#{file}.#{Process.pid}.#{Thread.current.object_id}"
    File.binwrite partial, code.to_binary
    File.rename partial, file
  rescue SystemCallError, RuntimeError # a full disk; code that has no binary form
    File.delete partial if File.exist?(partial)
  end
end

RubyVM::InstructionSequence.singleton_class.prepend CompileCache
