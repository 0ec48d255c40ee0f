# The callbacks that have run, in order. In memory, or in a file (LAB_LOG) for several processes.
class EventLog
  def initialize(path)
    @path = path
    @events = []
    @mutex = Mutex.new
  end

  def add(event)
    line = event.to_json
    @mutex.synchronize { @path ? locked("a") { |file| file.puts line } : @events << line }
  end

  # The callbacks of one user, or of all. The log is long, and parsing all of it takes long.
  def to_a(user = nil)
    lines = @mutex.synchronize { @path ? locked("a+") { |file| file.rewind && file.readlines } : @events.dup }
    lines = lines.grep(/"user":#{Regexp.escape user.to_json}/) if user.present?
    lines.map { |line| JSON.parse(line) }
  end

  def clear
    @mutex.synchronize { @path ? locked("a") { |file| file.truncate 0 } : @events.clear }
  end

  private
    def locked(mode)
      File.open(@path, mode) do |file|
        file.flock File::LOCK_EX
        yield file
      end
    end
end
