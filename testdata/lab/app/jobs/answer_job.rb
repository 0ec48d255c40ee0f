class AnswerJob < ActiveJob::Base
  def perform(chat, question)
    LanguageModel.answer(question) { |token| ActionCable.server.broadcast chat, { token: token } }
  end
end
