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

  def to_a
    lines = @mutex.synchronize { @path ? locked("a+") { |file| file.rewind && file.readlines } : @events.dup }
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
