# Streams the answer of a language model, token by token: to the browser that asks, or to all of the
# chat.
class AnswersChannel < ApplicationCable::Channel
  def subscribed
    super
    @asked = 0
    stream_from chat
  end

  def ask(data)
    @asked += 1
    LanguageModel.answer(data["question"]) { |token| transmit({ token: token }) }
    transmit({ answered: @asked })
  end

  def ask_in_thread(data)
    Thread.new { Rails.application.executor.wrap { ask data } }
  end

  def ask_for_all(data)
    transmit({ thinking: true })
    LanguageModel.answer(data["question"]) { |token| ActionCable.server.broadcast chat, { token: token } }
  end

  def ask_in_job(data)
    transmit({ thinking: true })
    AnswerJob.perform_later chat, data["question"]
  end

  private
    def chat
      "chat:#{params[:id]}"
    end
end
